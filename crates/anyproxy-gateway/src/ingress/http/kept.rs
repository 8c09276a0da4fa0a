//! Target connections that are kept between requests.
//!
//! ```text
//! Lease (in use) ─ response read to its end ─▶ kept, at most 15 s ─ same user, same target ─▶ Lease
//! ```
//!
//! One store serves the gateway, but a connection is used again only for the user it was opened
//! for: two users never share one, so one user's credentials or cookies cannot reach another's
//! stream. Who the user is was checked anew with each request; when a password changes or a user
//! is removed, nobody asks for these connections any more.
//!
//! Some targets authenticate the *connection* (NTLM, and Negotiate as it is used in practice):
//! whatever comes next on it is taken to come from the same person and program. A connection that
//! has seen that stays with the user's connection that it was used for, and ends with it
//! ([`Reuse::Line`]).

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use futures_util::{FutureExt as _, future::BoxFuture};
use hyper::client::conn::http1::SendRequest;
use tokio::{sync::oneshot, time::Instant};

use super::{body::Upload, expect::Unasked};
use crate::{
    ingress::{Carrier, User, target::TargetAddr},
    registry::{GiveWay, MAKE_ROOM},
};

/// Kept connections at most: in all, of one user, of one user to one target. The longest kept goes
/// first.
const MOST: usize = 1024;
const MOST_OF_USER: usize = 32;
const MOST_OF_KEY: usize = 6;

/// How long a connection is kept. Many servers close sooner; longer would be of little use.
const IDLE: Duration = Duration::from_secs(15);

/// How long to wait for the task of a kept connection to notice that its last exchange is over.
const SETTLE: Duration = Duration::from_secs(1);

/// What a connection may be used for again: the same target, for the same user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) user: User,
    pub(super) target: TargetAddr,
}

/// One user's connection to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineId(u64);

/// On which connections of its user a target's connection may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// On any.
    Anybody,
    /// Only on the one that it was used on last: it carries somebody's log-in.
    Line,
}

/// Which kept connections a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Only those that were used last on its own line: the request cannot be repeated, so the risk
    /// that the target closes at this moment is taken only where it always was.
    Line,
    /// All.
    Everywhere,
}

/// Resolves when the task of a connection has ended, and its data stream with it.
#[derive(Debug)]
pub(super) struct Ended(pub(super) oneshot::Receiver<()>);

/// An HTTP connection to a target.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) sender: SendRequest<Upload>,
    pub(super) reuse: Reuse,
    pub(super) ended: Ended,
    /// The session that carries it.
    pub(super) carrier: Carrier,
}

impl Target {
    /// Whether nothing can come of keeping it.
    fn is_lost(&self) -> bool {
        self.sender.is_closed() || self.carrier.has_departed() || self.carrier.is_silent()
    }
}

/// The kept connections of one gateway, and the tasks of all its HTTP targets.
pub struct Kept {
    scope: Scope,
    lines: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The longest kept first.
    idle: Vec<Idle>,
    sweeper: Sweeper,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Sweeper {
    #[default]
    Resting,
    Running,
}

struct Idle {
    key: Key,
    line: LineId,
    since: Instant,
    target: Target,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("idle", &self.lock().idle.len()).finish_non_exhaustive()
    }
}

impl Kept {
    /// Nothing kept yet. `scope` takes the tasks of all HTTP targets' connections; it should not be
    /// one that is waited for until users have finished, since kept connections are nobody's.
    #[must_use]
    pub fn new(scope: Scope) -> Arc<Self> {
        Arc::new(Self { scope, lines: AtomicU64::new(0), state: Mutex::default() })
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// A name for a new connection of a user.
    pub(super) fn line(&self) -> LineId {
        LineId(self.lines.fetch_add(1, Ordering::Relaxed))
    }

    /// A kept connection that is alive as far as one can tell. Cancel safe, but a connection that
    /// was being looked at is closed then.
    pub(super) async fn take(&self, key: &Key, line: LineId, reach: Reach) -> Option<Target> {
        while let Some(mut target) = self.pop(key, line, reach) {
            if let Ok(Ok(())) = Deadline::after(SETTLE).bound(target.sender.ready()).await {
                return Some(target);
            }
        }
        None
    }

    /// The newest of its own line, else one of another line that is ready at once: one that is not
    /// may still be sending an upload.
    fn pop(&self, key: &Key, line: LineId, reach: Reach) -> Option<Target> {
        let mut state = self.lock();
        let idle = &mut state.idle;
        idle.retain(|kept| !kept.target.is_lost());
        let own = idle.iter().rposition(|kept| kept.key == *key && kept.line == line);
        let index = own.or_else(|| {
            let free = |kept: &Idle| {
                kept.key == *key
                    && kept.target.reuse == Reuse::Anybody
                    && kept.target.sender.is_ready()
            };
            (reach == Reach::Everywhere).then(|| idle.iter().rposition(free)).flatten()
        })?;
        Some(idle.remove(index).target)
    }

    /// A user's connection has ended. What only it may use goes with it, and what is not ready:
    /// the rest of an upload will not come any more.
    pub(super) fn leave(&self, line: LineId) {
        self.lock().idle.retain(|kept| {
            kept.line != line
                || (kept.target.reuse == Reuse::Anybody && kept.target.sender.is_ready())
        });
    }

    /// Closes all kept connections of a group and waits, at most for `limit`, until their data
    /// streams are gone. `false` when there were none.
    pub(super) async fn give_way(&self, group: &str, limit: Duration) -> bool {
        let of_group = |kept: &mut Idle| *kept.key.user.group == *group;
        let gone = self.lock().idle.extract_if(.., of_group).collect::<Vec<_>>();
        let ended = gone.into_iter().map(|kept| kept.target.ended).collect::<Vec<_>>();
        let any = !ended.is_empty();
        let all = async {
            for Ended(ended) in ended {
                let _ = ended.await;
            }
        };
        let _ = Deadline::after(limit).bound(all).await;
        any
    }

    /// Closes the kept connections of sessions that want to leave, which wait for no others, and
    /// those of sessions that are silent.
    pub(super) fn release_lost(&self) {
        self.lock().idle.retain(|kept| !kept.target.is_lost());
    }

    fn put(self: &Arc<Self>, key: Key, line: LineId, target: Target) {
        let mut state = self.lock();
        // Looked at under the lock: whoever is told of a departure later finds it here.
        if target.is_lost() {
            return;
        }
        let idle = &mut state.idle;
        idle.retain(|kept| !kept.target.sender.is_closed());
        make_room(idle, MOST_OF_KEY, |kept| kept.key == key);
        make_room(idle, MOST_OF_USER, |kept| kept.key.user == key.user);
        make_room(idle, MOST, |_| true);
        idle.push(Idle { key, line, since: Instant::now(), target });
        if state.sweeper == Sweeper::Resting {
            state.sweeper = Sweeper::Running;
            let kept = self.clone();
            self.scope.spawn("kept connections", async move { kept.sweep().await });
        }
    }

    /// Closes what was kept for too long, until nothing is left.
    async fn sweep(&self) {
        while let Some(next) = self.expire() {
            Deadline::at(next).passed().await;
        }
    }

    /// The next time at which a connection has been kept for too long.
    fn expire(&self) -> Option<Instant> {
        let mut state = self.lock();
        let now = Instant::now();
        state.idle.retain(|kept| {
            !kept.target.sender.is_closed() && now.duration_since(kept.since) < IDLE
        });
        let next = state.idle.first().and_then(|kept| kept.since.checked_add(IDLE));
        if next.is_none() {
            state.sweeper = Sweeper::Resting;
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GiveWay for Kept {
    fn give_way<'a>(&'a self, group: &'a str) -> BoxFuture<'a, bool> {
        Self::give_way(self, group, MAKE_ROOM).boxed()
    }
}

/// Removes the longest kept of those that `counts` until one more fits.
fn make_room(idle: &mut Vec<Idle>, most: usize, counts: impl Fn(&Idle) -> bool) {
    while idle.iter().filter(|kept| counts(kept)).count() >= most {
        let Some(oldest) = idle.iter().position(&counts) else { return };
        idle.remove(oldest);
    }
}

/// A connection that is in use and is kept afterwards. Dropping it closes the connection instead.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) key: Key,
    pub(super) line: LineId,
    pub(super) target: Target,
    pub(super) kept: Arc<Kept>,
    /// The request's body, if the target never asked for it.
    pub(super) unwanted: Option<Unasked>,
}

impl Lease {
    /// Gives the connection back. To be called when the response's body has ended.
    pub(super) fn release(self) {
        // A target that waits for a body that will not come is of no more use.
        if self.unwanted.is_none() {
            self.kept.put(self.key, self.line, self.target);
        }
    }
}

#[cfg(test)]
mod tests;
