//! Groups change while the gateway runs.
//!
//! ```text
//! set ─ registry     sessions of what is gone or has another secret leave and close; limits
//!     ─ credentials  who is let in from now on
//!     ─ ports        rules; ports that a group may not have any more close
//! ```
//!
//! The registry goes first: a client that proved the old secret a moment ago, and is on its way in,
//! is refused there.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{config::GroupConfig, credentials::Credentials, ports::Ports, registry::Registry};

/// What knows of groups.
pub(crate) struct Groups {
    pub(crate) registry: Arc<Registry>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) ports: Arc<Ports>,
    /// One change at a time.
    pub(crate) changing: Mutex<()>,
}

impl Groups {
    /// Replaces all groups.
    pub(crate) fn set(&self, groups: &[GroupConfig]) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = self.registry.set_groups(groups);
        self.credentials.set_groups(groups);
        self.ports.set_groups(groups, &gone);
        tracing::info!(groups = groups.len(), sessions_closed = gone.len(), "groups changed");
    }
}
