//! Following the store while another process changes it.

use std::path::{Path, PathBuf};

use super::{Access, FILE, Store, StoreError};
use crate::groups::GroupSettings;

/// What a look at the store brought.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing has changed.
    None,
    /// All groups, after a change.
    Groups(Vec<GroupSettings>),
    /// The file was there and is not any more.
    Gone,
}

/// What a look for something in the store brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<T> {
    /// Nothing has changed.
    Nothing,
    /// All of it, after a change.
    Change(T),
    /// The file was there and is not any more.
    Gone,
}

/// Looks at a store again and again.
#[derive(Debug)]
pub struct Follower {
    directory: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    store: Store,
    version: i64,
    file: Option<FileId>,
}

/// Tells a file from another one of that name.
type FileId = (u64, u64);

impl Follower {
    /// Follows the store in `directory`, which need not be there yet.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, open: None }
    }

    /// What has changed since the last look; the first one brings all groups. Blocks.
    ///
    /// # Errors
    ///
    /// Those of opening and reading. The next look starts afresh.
    pub fn look(&mut self) -> Result<News, StoreError> {
        Ok(match self.look_for(Store::groups)? {
            Seen::Nothing => News::None,
            Seen::Change(groups) => News::Groups(groups),
            Seen::Gone => News::Gone,
        })
    }

    /// The same for whatever `read` takes from the store. Blocks.
    ///
    /// # Errors
    ///
    /// Those of opening and reading. The next look starts afresh.
    pub fn look_for<T>(
        &mut self,
        read: impl FnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<Seen<T>, StoreError> {
        let known = self.open.take();
        let path = self.directory.join(FILE);
        // An open file that was replaced or removed would never change again.
        let known = match (known, file_id(&path)) {
            (Some(_), None) if !path.exists() => return Ok(Seen::Gone),
            (Some(known), now) if known.file == now => Some(known),
            (Some(_) | None, _) => None,
        };
        match known {
            Some(known) => {
                let version = known.store.version()?;
                if version == known.version {
                    self.open = Some(known);
                    return Ok(Seen::Nothing);
                }
                self.read(Open { version, ..known }, read)
            }
            None => {
                let file = file_id(&path);
                let Some(store) = Store::open(&self.directory, Access::Read)? else {
                    return Ok(Seen::Nothing);
                };
                // Before the groups: what is written in between is seen at the next look.
                let version = store.version()?;
                self.read(Open { store, version, file }, read)
            }
        }
    }

    fn read<T>(
        &mut self,
        open: Open,
        read: impl FnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<Seen<T>, StoreError> {
        let found = read(&open.store)?;
        self.open = Some(open);
        Ok(Seen::Change(found))
    }
}

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().ok().map(|file| (file.dev(), file.ino()))
}

/// Other systems do not let an open file be replaced.
#[cfg(not(unix))]
fn file_id(path: &Path) -> Option<FileId> {
    path.metadata().ok().map(|_| (0, 0))
}
