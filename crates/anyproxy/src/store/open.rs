//! Opening the file, and making it for nobody else to read.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    StoreError,
    schema::{self, Kind},
};

/// How long to wait for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// Opens the file if it is there, and makes sure that it is what it should be.
pub(super) fn existing(path: &Path, access: Access) -> Result<Option<Connection>, StoreError> {
    match fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Not the same as no store: somebody meant there to be one.
            let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
            return if is_link { Err(StoreError::Dangling(path.into())) } else { Ok(None) };
        }
        Err(cause) => return Err(StoreError::Unreadable { path: path.into(), cause }),
    }
    let failed = |error| StoreError::of(path, error);
    // For reading too: what a writer that was killed left half-done has to be taken back first. SQLite
    // falls back to reading where it may not write.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection, access).map_err(failed)?;
    match schema::kind(&connection).map_err(failed)? {
        Kind::Empty if access == Access::Write => schema::make(&mut connection).map_err(failed)?,
        Kind::Empty => return Ok(None),
        Kind::Ours => whole(&connection, path)?,
        Kind::Older => {
            whole(&connection, path)?;
            if access == Access::Write {
                schema::make(&mut connection).map_err(failed)?;
            }
        }
        Kind::Newer(version) => return Err(StoreError::Newer { path: path.into(), version }),
        Kind::Foreign => return Err(StoreError::Foreign(path.into())),
    }
    Ok(Some(connection))
}

fn prepare(connection: &Connection, access: Access) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    // The schema of a file that somebody else made runs no functions of its choice.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is removed is overwritten: old hashes stay nowhere.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "query_only", access == Access::Read)
}

/// Checks the whole file, which is small, so that damage is found before a part of it is used.
fn whole(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| StoreError::of(path, error))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Damaged { path: path.into(), what: found }) }
}

/// Makes the directory (mode 0700) and an empty file in it (mode 0600), unless they are there.
pub(super) fn create(directory: &Path, path: &Path) -> Result<(), StoreError> {
    create_directory(directory)?;
    let mut options = OpenOptions::new();
    // Nothing that is there is opened, no link either (open(2), O_EXCL).
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => give_to_owner(directory, &file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|cause| StoreError::Unwritable { path: path.into(), cause })
}

/// Makes the data directory (mode 0700) unless it is there.
///
/// # Errors
///
/// [`StoreError::Unwritable`].
pub fn create_directory(directory: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|cause| StoreError::Unwritable { path: directory.into(), cause })
}

/// A command that root runs must not make a file that the gateway's own user cannot read.
///
/// The file is given away by its descriptor: whoever owns the directory may have put another one, or a
/// link to one, in its place since, and must not get that.
#[cfg(unix)]
pub(crate) fn give_to_owner(directory: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let (directory, made) = (fs::metadata(directory)?, file.metadata()?);
    if made.uid() == 0 && directory.uid() != 0 {
        fchown(file, Some(directory.uid()), Some(directory.gid()))?;
    }
    Ok(())
}

/// Other systems inherit who may read it from the directory.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub(crate) fn give_to_owner(_directory: &Path, _file: &File) -> io::Result<()> {
    Ok(())
}
