//! One start at a time in a data directory.
//!
//! What a first start makes belongs together: a CA's key and its certificate, the group and the file with its
//! password. So whoever makes any of it has the directory for itself. The system lets go of the lock when the process ends,
//! however it ends; the file stays, since who removed it could take it from somebody who has just opened it.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use super::OwnError;
use crate::store::give_to_owner;

pub(super) const FILE: &str = "start.lock";

/// How long another process may take: keys and a group are made in a fraction of a second.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// The directory is this process's, until this is dropped.
#[derive(Debug)]
#[must_use = "another process may write when this is dropped"]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody else has it. Blocks, for ten seconds at most.
    pub(super) fn take(directory: &Path) -> Result<Self, OwnError> {
        Self::take_within(directory, PATIENCE)
    }

    /// The same, for another time; with none it is tried once.
    pub(super) fn take_within(directory: &Path, patience: Duration) -> Result<Self, OwnError> {
        let path = directory.join(FILE);
        let failed = |cause| OwnError::Write { path: path.clone(), cause };
        let file = open(directory, &path).map_err(failed)?;
        match patiently(patience, || try_lock(&file, Way::Alone)) {
            Ok(()) => Ok(Self { _file: file }),
            // Some network file systems have no locks; one gateway alone needs none.
            Err(error) if has_no_locks(&error) => Ok(Self { _file: file }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(OwnError::Busy(directory.into()))
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// How something is locked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// For this one.
    Alone,
    /// For all that lock it so.
    Shared,
}

/// Tries until nobody else has it.
pub(super) fn patiently(patience: Duration, lock: impl Fn() -> io::Result<()>) -> io::Result<()> {
    let until = Instant::now() + patience;
    loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                sleep(PAUSE);
            }
            done => return done,
        }
    }
}

#[cfg(unix)]
pub(super) fn try_lock(file: &File, way: Way) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};
    let operation = match way {
        Way::Alone => FlockOperation::NonBlockingLockExclusive,
        Way::Shared => FlockOperation::NonBlockingLockShared,
    };
    Ok(flock(file, operation)?)
}

/// Elsewhere nobody starts several at once.
#[cfg(not(unix))]
pub(super) fn try_lock(_file: &File, _way: Way) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// ENOLCK is what NFS says without a lock daemon, and ENOSYS what some file systems in user space do.
#[cfg(unix)]
fn has_no_locks(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let none = [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];
    Errno::from_io_error(error).is_some_and(|errno| none.contains(&errno))
}

#[cfg(not(unix))]
fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

fn open(directory: &Path, path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Both, so that a pipe of that name holds nobody up. Nothing is ever written.
    options.read(true).write(true);
    let mut making = options.clone();
    making.create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut making, 0o600);
    match making.open(path) {
        // Only what was made just now: root must not give away what a link leads to.
        Ok(made) => give_to_owner(directory, &made).map(|()| made),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn one_has_it_until_it_is_dropped() {
        let dir = TempDir::new().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let error = Lock::take_within(dir.path(), Duration::ZERO).unwrap_err();
        assert!(matches!(&error, OwnError::Busy(path) if path == dir.path()), "{error}");
        drop(first);
        let _second = Lock::take_within(dir.path(), Duration::ZERO).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_system_without_locks_is_no_error() {
        use rustix::io::Errno;
        for none in [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP] {
            assert!(has_no_locks(&none.into()), "{none}");
        }
        for other in [Errno::WOULDBLOCK, Errno::BADF, Errno::IO, Errno::ACCESS] {
            assert!(!has_no_locks(&other.into()), "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_leads_to_is_not_touched() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = TempDir::new().unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, "somebody else's").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join(FILE)).unwrap();
        // The owner of the directory is not the one who starts the gateway.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(dir.path(), Some(1), Some(1)).unwrap();
        }
        let before = std::fs::metadata(&other).unwrap();
        drop(Lock::take(dir.path()).unwrap());
        let after = std::fs::metadata(&other).unwrap();
        assert_eq!((before.uid(), before.len()), (after.uid(), after.len()));
        assert_eq!(std::fs::read(&other).unwrap(), b"somebody else's");
    }
}
