//! Running out of file descriptors, which bounds what a process may have open at once.

use std::io;

/// What a person can do about it.
pub const MORE_FILES: &str =
    "raise the limit of file descriptors: LimitNOFILE= of the service, or ulimit -n";

/// Whether the process, or the whole system, has no descriptor left.
#[must_use]
pub fn is_out_of_files(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(is_code)
}

#[cfg(unix)]
fn is_code(code: i32) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| errno.raw_os_error() == code)
}

/// `WSAEMFILE`.
#[cfg(windows)]
fn is_code(code: i32) -> bool {
    code == 10_024
}

#[cfg(not(any(unix, windows)))]
fn is_code(_: i32) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_systems_codes_are_known() {
        const ENFILE: i32 = 23;
        const EMFILE: i32 = 24;
        const ECONNREFUSED: i32 = 111;
        let is = |code| is_out_of_files(&io::Error::from_raw_os_error(code));
        assert!(is(ENFILE) && is(EMFILE) && !is(ECONNREFUSED));
        assert!(!is_out_of_files(&io::Error::other("too many open files")), "a text is no code");
    }
}
