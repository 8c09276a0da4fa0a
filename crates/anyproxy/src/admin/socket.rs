//! Where status sockets are, so that `anyproxy status` finds those of its user without being told.
//!
//! ```text
//! RUNTIME_DIRECTORY (a systemd unit) ─▶ XDG_RUNTIME_DIR/anyproxy ─▶ root: /run/anyproxy ─▶ /tmp/anyproxy-UID
//!   └ ROLE-PID.sock
//! ```
//!
//! The process id is in the name, so any number of processes have one each. The directory has mode
//! 0700: whoever could write there could put up a socket that tells lies.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyproxy_transport::net::UnixDoor;

/// How many sockets are looked at in a directory.
const MOST: usize = 1024;

/// Opens the usual socket of this process.
///
/// # Errors
///
/// When there is no directory for it.
pub(super) fn usual(role: &str) -> io::Result<UnixDoor> {
    let directory = own_directory()?;
    sweep(&directory);
    UnixDoor::private(&directory.join(format!("{role}-{}.sock", std::process::id())))
}

/// The sockets that there are, of processes that live or were killed.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Those to ask.
    pub(crate) sockets: Vec<PathBuf>,
    /// Directories with sockets that another user has put there.
    pub(crate) foreign: Vec<PathBuf>,
}

/// Looks for sockets. What the environment names may be another user's, `sudo -E` does that, and who owns
/// a directory puts into it what he likes. `/run` is root's, who makes directories there for others.
pub(crate) fn found() -> Found {
    let (mut directories, foreign): (Vec<_>, Vec<_>) =
        given_directories().into_iter().partition(|directory| is_trusted(directory));
    // Anybody could have made this one.
    directories.extend(Some(own_temporary()).filter(|directory| is_ours(directory)));
    if let Ok(entries) = fs::read_dir("/run") {
        let units = entries.flatten().filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with("anyproxy"))
        });
        directories.extend(units.map(|entry| entry.path()));
    }
    directories.sort();
    directories.dedup();
    Found {
        sockets: directories.iter().flat_map(|directory| sockets(directory)).collect(),
        foreign: foreign.into_iter().filter(|directory| !sockets(directory).is_empty()).collect(),
    }
}

fn given_directories() -> Vec<PathBuf> {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A unit may have several, separated by colons.
    let unit = given("RUNTIME_DIRECTORY").and_then(|list| env::split_paths(&list).next());
    let session = given("XDG_RUNTIME_DIR").map(|directory| directory.join("anyproxy"));
    unit.into_iter().chain(session).collect()
}

fn sockets(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut sockets = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "sock"))
        .take(MOST)
        .collect::<Vec<_>>();
    sockets.sort();
    sockets
}

#[cfg(unix)]
fn own_directory() -> io::Result<PathBuf> {
    let mut directories = given_directories();
    if rustix::process::geteuid().is_root() {
        directories.push(PathBuf::from("/run/anyproxy"));
    }
    directories.push(own_temporary());
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for directory in directories {
        match private(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(unix)]
fn own_temporary() -> PathBuf {
    env::temp_dir().join(format!("anyproxy-{}", rustix::process::geteuid().as_raw()))
}

#[cfg(not(unix))]
fn own_directory() -> io::Result<PathBuf> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
fn own_temporary() -> PathBuf {
    env::temp_dir().join("anyproxy")
}

/// Makes the directory, or sees to it that it is ours alone.
#[cfg(unix)]
fn private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if !is_ours(directory) {
        let text = format!("others can write to {}", directory.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

/// Whether it is a directory into which nobody else can put anything.
#[cfg(unix)]
fn is_ours(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(directory)
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0)
}

#[cfg(not(unix))]
fn is_ours(_directory: &Path) -> bool {
    false
}

/// Whether nobody but this user and root can have put anything into it.
#[cfg(unix)]
fn is_trusted(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let user = rustix::process::geteuid().as_raw();
    fs::metadata(directory)
        .is_ok_and(|found| (found.uid() == user || found.uid() == 0) && found.mode() & 0o022 == 0)
}

#[cfg(not(unix))]
fn is_trusted(_directory: &Path) -> bool {
    false
}

/// Removes what killed processes left: sockets at which nobody listens.
#[cfg(unix)]
fn sweep(directory: &Path) {
    use std::os::unix::{fs::FileTypeExt as _, net::UnixStream};
    for path in sockets(directory) {
        let is_socket = fs::symlink_metadata(&path).is_ok_and(|it| it.file_type().is_socket());
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        // One whose process has just bound it and listens in a moment is refused too: its name has the
        // number of a process that lives.
        if is_socket && !lives(&path) && UnixStream::connect(&path).is_err_and(refused) {
            let _gone = fs::remove_file(&path);
        }
    }
}

#[cfg(unix)]
fn lives(socket: &Path) -> bool {
    let name = socket.file_stem().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.rsplit_once('-')).map(|(_, number)| number);
    number.is_some_and(|number| Path::new("/proc").join(number).exists())
}

#[cfg(not(unix))]
fn sweep(_directory: &Path) {}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("anyproxy");
        private(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        private(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(private(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(private(&link).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn what_killed_processes_left_goes_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        drop(std::os::unix::net::UnixListener::bind(at("gateway-0.sock")).unwrap());
        let _live = std::os::unix::net::UnixListener::bind(at("client-0.sock")).unwrap();
        fs::write(at("note.sock"), "a file").unwrap();
        sweep(dir.path());
        assert_eq!(sockets(dir.path()), [at("client-0.sock"), at("note.sock")]);
    }
}
