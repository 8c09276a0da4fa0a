//! Reading the files that settings name, with a bound on their size.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use super::Problem;

/// Reads a file of at most `limit` bytes.
///
/// The bound is applied while reading, so that a path like `/dev/zero` cannot exhaust memory.
///
/// # Errors
///
/// [`Problem::Unreadable`] or, when it is larger, [`Problem::BadFile`].
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    let unreadable = |cause: io::Error| Problem::Unreadable { path: path.into(), cause };
    let mut bytes = Vec::new();
    let mut file = File::open(path).map_err(unreadable)?.take(limit.saturating_add(1));
    let length = file.read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(length).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(Problem::BadFile {
            path: path.into(),
            what: format!("is larger than {limit} bytes"),
            fix: "name another file; this one cannot be meant".into(),
        })
    }
}

/// Reads a file of at most `limit` bytes that must be UTF-8.
///
/// # Errors
///
/// As [`read_bytes`], and [`Problem::BadFile`] when it is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String, Problem> {
    String::from_utf8(read_bytes(path, limit)?).map_err(|_| Problem::BadFile {
        path: path.into(),
        what: "is not text (UTF-8)".into(),
        fix: "save it as UTF-8, or name another file".into(),
    })
}

/// The permission bits with which others than the owner can read `path`, if there are any.
///
/// `None` where the file system has no such bits.
#[must_use]
pub fn open_mode(path: &Path) -> Option<u32> {
    mode_with(path, 0o077)
}

/// The permission bits with which others than the owner can write to `path`, if there are any.
///
/// `None` where the file system has no such bits.
#[must_use]
pub fn writable_mode(path: &Path) -> Option<u32> {
    mode_with(path, 0o022)
}

/// The permission bits, if any of `these` is among them.
fn mode_with(path: &Path, these: u32) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = path.metadata().ok()?.permissions().mode() & 0o777;
        (mode & these != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = (path, these);
        None
    }
}
