//! A Unix socket to listen on, for a reverse proxy on the same machine.
//!
//! What passes through it is not behind TLS, so it matters who can open it and who can put another
//! in its place:
//!
//! - the file has mode 0660 before anybody can connect: it is made by `bind`, its mode is set, and
//!   only then is it listened on;
//! - its directory may be written by nobody else, unless it is sticky, as `/tmp` is;
//! - a file that a killed process left is removed when it is a socket, ours, and nobody listens on it;
//!   anything else stays, and is an error;
//! - at the end the file is removed if it is still the one that was made.

#[cfg(unix)]
pub use tokio::net::UnixStream as LocalStream;

#[cfg(not(unix))]
pub use tokio::io::DuplexStream as LocalStream;

#[cfg(not(unix))]
pub use elsewhere::UnixDoor;
#[cfg(unix)]
pub use here::UnixDoor;

#[cfg(unix)]
mod here {
    use std::{
        fs, io,
        os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        path::{Path, PathBuf},
    };

    use socket2::{Domain, SockAddr, Socket, Type};
    use tokio::net::UnixListener;

    use super::LocalStream;

    /// Owner and group may connect, which takes the right to write.
    const MODE: u32 = 0o660;
    /// Only the owner may.
    const PRIVATE: u32 = 0o600;
    /// Pending connections.
    const BACKLOG: i32 = 1024;

    /// A Unix socket; its file goes when this is dropped.
    #[derive(Debug)]
    pub struct UnixDoor {
        listener: UnixListener,
        path: PathBuf,
        /// Device and inode of the file that was made.
        file: (u64, u64),
    }

    impl UnixDoor {
        /// Makes the socket and listens on it.
        ///
        /// # Errors
        /// [`io::ErrorKind::AddrInUse`] when somebody listens there,
        /// [`io::ErrorKind::AlreadyExists`] when something else is there, or somebody else's;
        /// [`io::ErrorKind::PermissionDenied`] when others could put theirs in its place.
        pub(in crate::net) fn bind(path: &Path) -> io::Result<Self> {
            Self::bind_with(path, MODE)
        }

        /// The same for the owner alone.
        ///
        /// # Errors
        /// As for every other: somebody listens there, something else is there, or others could put
        /// theirs in its place.
        pub fn private(path: &Path) -> io::Result<Self> {
            Self::bind_with(path, PRIVATE)
        }

        fn bind_with(path: &Path, mode: u32) -> io::Result<Self> {
            check_directory(path)?;
            remove_stale(path)?;
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.bind(&SockAddr::unix(path)?)?;
            let made = fs::symlink_metadata(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
            socket.listen(BACKLOG)?;
            let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into())?;
            Ok(Self { listener, path: path.to_owned(), file: (made.dev(), made.ino()) })
        }

        /// Where it is.
        #[must_use]
        pub fn path(&self) -> &Path {
            &self.path
        }

        /// Waits for the next connection. Cancel safe.
        ///
        /// # Errors
        /// What the system answered.
        pub async fn accept(&self) -> io::Result<LocalStream> {
            self.listener.accept().await.map(|(stream, _)| stream)
        }
    }

    impl Drop for UnixDoor {
        fn drop(&mut self) {
            let ours = |found: &fs::Metadata| (found.dev(), found.ino()) == self.file;
            if fs::symlink_metadata(&self.path).is_ok_and(|found| ours(&found)) {
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    /// In a directory that anybody may write, anybody could replace the socket, unless it is sticky.
    fn check_directory(path: &Path) -> io::Result<()> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let mode = fs::metadata(directory)?.mode();
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            let text = "its directory can be written by everybody; run: chmod o-w on it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ok(())
    }

    fn remove_stale(path: &Path) -> io::Result<()> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let other = |text| Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        if !found.file_type().is_socket() {
            return other("there is a file of this name that is no socket");
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return other("there is a socket of this name that belongs to another user");
        }
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn kind(result: io::Result<UnixDoor>) -> io::ErrorKind {
            result.map(|_| ()).unwrap_err().kind()
        }

        #[tokio::test]
        async fn its_owner_and_group_may_open_it_and_it_goes() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ws.sock");
            let door = UnixDoor::bind(&path).unwrap();
            assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, MODE);
            let _user = std::os::unix::net::UnixStream::connect(&path).unwrap();
            door.accept().await.unwrap();
            assert_eq!(kind(UnixDoor::bind(&path)), io::ErrorKind::AddrInUse);
            drop(door);
            assert!(!path.exists());
        }

        #[tokio::test]
        async fn what_a_killed_process_left_is_replaced() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ws.sock");
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            assert!(path.exists(), "the standard library's listener leaves its file");
            let door = UnixDoor::bind(&path).unwrap();
            // Another process's socket in the same place is not ours to remove.
            fs::remove_file(&path).unwrap();
            let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
            drop(door);
            assert!(path.exists());
            drop(other);
        }

        #[tokio::test]
        async fn what_is_not_ours_stays() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ws.sock");
            fs::write(&path, "precious").unwrap();
            assert_eq!(kind(UnixDoor::bind(&path)), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
            fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
            assert_eq!(kind(UnixDoor::bind(&path)), io::ErrorKind::AlreadyExists);
        }

        #[tokio::test]
        async fn where_anybody_could_replace_it_there_is_none() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ws.sock");
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
            assert_eq!(kind(UnixDoor::bind(&path)), io::ErrorKind::PermissionDenied);
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
            UnixDoor::bind(&path).unwrap();
        }
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::{io, path::Path};

    use super::LocalStream;

    /// There are no Unix sockets here.
    #[derive(Debug)]
    pub enum UnixDoor {}

    impl UnixDoor {
        pub(in crate::net) fn bind(_: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        /// The same for the owner alone.
        ///
        /// # Errors
        /// Always.
        pub fn private(path: &Path) -> io::Result<Self> {
            Self::bind(path)
        }

        /// Where it is.
        #[must_use]
        pub fn path(&self) -> &Path {
            match *self {}
        }

        /// Never happens.
        ///
        /// # Errors
        /// None.
        pub async fn accept(&self) -> io::Result<LocalStream> {
            std::future::pending::<()>().await;
            match *self {}
        }
    }
}
