//! The target connections that one user's connection keeps between its requests.
//!
//! They belong to that connection and end with it: two users never share one, so one user's
//! credentials or cookies cannot reach another's stream.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyproxy_runtime::Deadline;
use hyper::client::conn::http1::SendRequest;

use super::body::Upload;
use crate::ingress::{User, target::TargetAddr};

/// Idle connections kept at most; the longest idle one goes first.
const MOST_IDLE: usize = 4;

/// How long to wait for the task of a kept connection to notice that its last exchange is over.
const SETTLE: Duration = Duration::from_secs(1);

/// What a connection may be used for again: the same target, for the same user, who may change
/// from one request to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) user: User,
    pub(super) target: TargetAddr,
}

/// Kept connections, oldest first.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<(Key, SendRequest<Upload>)>>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    /// A kept connection that is alive as far as one can tell. Cancel safe, but a connection that
    /// was being looked at is closed then.
    pub(super) async fn take(&self, key: &Key) -> Option<SendRequest<Upload>> {
        while let Some(mut sender) = self.pop(key) {
            if let Ok(Ok(())) = Deadline::after(SETTLE).bound(sender.ready()).await {
                return Some(sender);
            }
        }
        None
    }

    /// Closes all kept connections.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn pop(&self, key: &Key) -> Option<SendRequest<Upload>> {
        let mut kept = self.lock();
        kept.retain(|(_, sender)| !sender.is_closed());
        let newest = kept.iter().rposition(|(of, _)| of == key)?;
        Some(kept.remove(newest).1)
    }

    fn put(&self, key: Key, sender: SendRequest<Upload>) {
        let mut kept = self.lock();
        kept.retain(|(_, sender)| !sender.is_closed());
        if kept.len() >= MOST_IDLE {
            kept.remove(0);
        }
        kept.push((key, sender));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Key, SendRequest<Upload>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is in use and goes back to the pool afterwards. Dropping it closes the
/// connection instead.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) key: Key,
    pub(super) sender: SendRequest<Upload>,
    pub(super) pool: Arc<Pool>,
}

impl Lease {
    /// Gives the connection back. To be called when the response's body has ended.
    pub(super) fn release(self) {
        self.pool.put(self.key, self.sender);
    }
}
