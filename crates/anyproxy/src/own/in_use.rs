//! Whether a gateway runs from a directory, so that nobody moves it from under one.
//!
//! The directory itself is locked: shared by every gateway that runs from it, and exclusively by who moves it. There is no
//! file for it that could be moved as well, or be left behind. Where the file system has no such locks, nothing is known.

use std::{fs::File, io, path::Path};

use super::{
    OwnError,
    lock::{PATIENCE, Way, patiently, try_lock},
};

/// A gateway runs from the directory, until this is dropped.
#[derive(Debug)]
#[must_use = "the directory may be moved when this is dropped"]
pub(crate) struct InUse {
    _directory: Option<File>,
}

impl InUse {
    /// Waits until nobody moves it. Blocks, for ten seconds at most.
    ///
    /// # Errors
    ///
    /// [`OwnError::Busy`].
    pub(crate) fn take(directory: &Path) -> Result<Self, OwnError> {
        let Ok(file) = File::open(directory) else { return Ok(Self { _directory: None }) };
        match patiently(PATIENCE, || try_lock(&file, Way::Shared)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(OwnError::Busy(directory.into()))
            }
            Ok(()) | Err(_) => Ok(Self { _directory: Some(file) }),
        }
    }
}

/// No gateway runs from the directory or starts there, until this is dropped.
#[derive(Debug)]
#[must_use = "a gateway may start when this is dropped"]
pub(crate) struct Still {
    _directory: Option<File>,
}

impl Still {
    /// `None` if a gateway runs from it.
    pub(crate) fn of(directory: &Path) -> Option<Self> {
        let Ok(file) = File::open(directory) else { return Some(Self { _directory: None }) };
        match try_lock(&file, Way::Alone) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Ok(()) | Err(_) => Some(Self { _directory: Some(file) }),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn gateways_share_a_directory_and_who_moves_it_has_it_alone() {
        let dir = TempDir::new().unwrap();
        let gateways = [InUse::take(dir.path()).unwrap(), InUse::take(dir.path()).unwrap()];
        for gateway in gateways {
            assert!(Still::of(dir.path()).is_none());
            drop(gateway);
        }
        let still = Still::of(dir.path()).unwrap();
        let file = File::open(dir.path()).unwrap();
        let error = try_lock(&file, Way::Shared).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(still);
        let _gateway = InUse::take(dir.path()).unwrap();
    }
}
