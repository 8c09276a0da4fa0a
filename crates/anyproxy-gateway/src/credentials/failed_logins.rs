//! Log-ins of proxy users that failed, as a number: the log has a line now and then, which nobody can graph.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ingress::Denied;

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct FailedLogins {
    wrong: AtomicU64,
    busy: AtomicU64,
}

/// Log-ins of proxy users that failed, over HTTP and SOCKS5. A request without any log-in is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailedLoginFigures {
    /// Unknown user or wrong password.
    pub wrong: u64,
    /// Turned away unchecked, after too many failures or among too many checks.
    pub busy: u64,
}

impl FailedLogins {
    pub(super) fn count(&self, denied: Denied) {
        let count = match denied {
            Denied::Wrong => &self.wrong,
            Denied::Busy => &self.busy,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> FailedLoginFigures {
        FailedLoginFigures {
            wrong: self.wrong.load(Ordering::Relaxed),
            busy: self.busy.load(Ordering::Relaxed),
        }
    }
}
