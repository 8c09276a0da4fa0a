//! Where a gateway and a client keep what outlives them, when nothing says where.
//!
//! Services and the commands that manage them have to find the same place, so nothing but the user decides:
//! root has `/var/lib`, everybody else the directory for state of the XDG base directory specification.

use std::path::PathBuf;

/// The gateway's data directory; `None` when the user has no home.
pub(crate) fn gateway() -> Option<PathBuf> {
    Some(base()?.join("gateway"))
}

/// The client's state directory; `None` when the user has no home.
pub(crate) fn client() -> Option<PathBuf> {
    Some(base()?.join("client"))
}

fn base() -> Option<PathBuf> {
    let directory = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    if let Some(state) = directory("XDG_STATE_HOME") {
        return Some(state.join("anyproxy"));
    }
    if is_root() {
        return Some("/var/lib/anyproxy".into());
    }
    Some(directory("HOME")?.join(".local/state/anyproxy"))
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
