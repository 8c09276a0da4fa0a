//! What nobody uses must not turn a user away.
//!
//! ```text
//! Session::open ─ the group is full ─▶ what is only kept for later ends ─▶ once more
//! ```
//!
//! Connections that an ingress keeps for its next request count among their group's. Whoever comes in,
//! through whichever door, may have their place.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;

/// How long what is only kept may take to end.
pub(crate) const MAKE_ROOM: Duration = Duration::from_secs(1);

/// Holds connections of groups that nobody uses at the moment.
pub(crate) trait GiveWay: fmt::Debug + Send + Sync {
    /// Ends those of `group`, and waits until their streams are gone, [`MAKE_ROOM`] at most. `false`
    /// when there were none. Cancel safe: they end all the same.
    fn give_way<'a>(&'a self, group: &'a str) -> BoxFuture<'a, bool>;
}
