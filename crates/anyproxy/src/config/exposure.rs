//! Who can read the secrets that a person provides.

use std::path::Path;

#[cfg(any(unix, test))]
const ROOT: u32 = 0;

/// The permission bits of a file of a person's, if more than its owner can get at it, or, of root's, more than one group
/// that may read it.
///
/// So a service's user gets at its keys and cannot change them; `anyproxy service install` leaves them like this.
/// `None` where the file system has no such bits.
#[must_use]
pub(crate) fn exposed_mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let about = path.metadata().ok()?;
        let mode = about.mode() & 0o777;
        is_exposed(mode, about.uid()).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

#[cfg(any(unix, test))]
fn is_exposed(mode: u32, owner: u32) -> bool {
    let closed = if owner == ROOT { 0o037 } else { 0o077 };
    mode & closed != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_may_let_a_group_read_what_nobody_else_may() {
        for (mode, owner, exposed) in [
            (0o600, ROOT, false),
            (0o640, ROOT, false),
            (0o400, 1_000, false),
            (0o640, 1_000, true),
            (0o644, ROOT, true),
            (0o660, ROOT, true),
            (0o604, 1_000, true),
        ] {
            assert_eq!(is_exposed(mode, owner), exposed, "{mode:o} of {owner}");
        }
    }
}
