//! Further connections of a session over the WebSocket, beside the one that it came up with.
//!
//! What is behind a lost segment waits for it, whoever's it is: TCP delivers in order. So over one connection a small
//! request waits for the losses of another user's download. Over several it meets those of its own alone. They are
//! made when something that was opened stays open for a moment, so a client at rest has one connection, and a thousand
//! that answer a request now and then have a thousand. The gateway closes what is empty when the session opened nothing
//! for a while. QUIC's streams do not wait for each other.
//!
//! It is as well without them: nothing is said of a failure but in the debug log, and the next open tries again after
//! a pause.

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_transport::{LoginError, Transport, Tunnel, TunnelError};
use anyproxy_wire::{backoff::Backoff, codes::CloseCode};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, pending},
    stream::FuturesUnordered,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{failure::Failure, replica::random};

/// How long something is to be live before there is need. Most requests are over by then.
const SETTLES: Duration = Duration::from_millis(250);

/// The mean of the first pause after a failure is half of this.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// One that ended sooner was no good: something on the way lets a connection up and cuts it.
const GOOD: Duration = Duration::from_secs(60);

/// One that was made.
pub(crate) struct Further {
    pub(crate) tunnel: Tunnel,
    /// Its number within the session.
    pub(crate) order: u64,
    /// The number of the one that it is beside.
    pub(crate) main: u64,
    /// When it was dialled.
    pub(crate) born: std::time::Instant,
}

/// An attempt to make one.
pub(crate) type Attempt = BoxFuture<'static, Result<Further, Failure>>;

/// What is to be done.
pub(crate) enum Step {
    /// One more is to be [tried](Beside::attempt).
    Wanted,
    /// One more is up.
    Up(Further),
}

pub(crate) struct Beside {
    /// How many the session may have, with the first.
    most: usize,
    /// Those that share what is new with the first.
    live: usize,
    /// What carries the session.
    transport: Option<Transport>,
    /// Told whenever the gateway opens something.
    opened: Arc<Notify>,
    /// What is live on all tunnels.
    connections: Scope,
    /// When to look whether something that was opened is still live.
    look_at: Option<Instant>,
    /// At most one. It is not given up when the session moves: its tunnel may be up at the gateway already, and have
    /// streams.
    attempts: FuturesUnordered<Attempt>,
    backoff: Backoff,
    not_before: Instant,
}

impl Beside {
    pub(crate) fn new(most: usize, opened: Arc<Notify>, connections: Scope) -> Self {
        Self {
            most,
            live: 0,
            transport: None,
            opened,
            connections,
            look_at: None,
            attempts: FuturesUnordered::new(),
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            not_before: Instant::now(),
        }
    }

    /// Another tunnel carries the session, or none any more.
    pub(crate) fn moved(&mut self, transport: Option<Transport>, live: usize) {
        (self.transport, self.live, self.look_at) = (transport, live, None);
    }

    /// One that was up since `born` ended, and so many are left. What was opened while there were enough asks for no
    /// other.
    pub(crate) fn lost(&mut self, born: std::time::Instant, error: &TunnelError, live: usize) {
        if live < self.live {
            (self.live, self.look_at) = (live, None);
            let _ = self.opened.notified().now_or_never();
        }
        let lasted = Instant::now().into_std().saturating_duration_since(born) >= GOOD;
        if lasted || error.code() == Some(CloseCode::Shutdown) {
            self.backoff.reset();
        } else {
            self.pause();
        }
    }

    /// There are so many now.
    pub(crate) fn came(&mut self, live: usize) {
        self.live = live;
        // Those that are still missing, one after the other.
        self.look_at = Some(Instant::now());
    }

    pub(crate) fn attempt(&mut self, attempt: Attempt) {
        self.attempts.push(attempt);
    }

    /// Waits for what is to be done. Cancel safe.
    pub(crate) async fn next(&mut self) -> Step {
        loop {
            let wanted = self.live.saturating_add(1) < self.most
                && self.attempts.is_empty()
                && self.transport == Some(Transport::WebSocket);
            tokio::select! {
                biased;
                Some(done) = self.attempts.next() => match done {
                    Ok(further) => return Step::Up(further),
                    Err(failure) => self.failed(&failure),
                },
                () = sleep_until(self.look_at.unwrap_or_else(Instant::now)),
                    if wanted && self.look_at.is_some() =>
                {
                    self.look_at = None;
                    if self.connections.tasks() > 0 && Instant::now() >= self.not_before {
                        return Step::Wanted;
                    }
                }
                () = self.opened.notified(), if wanted && self.look_at.is_none() => {
                    self.look_at = Some(Instant::now() + SETTLES);
                }
                else => return pending().await,
            }
        }
    }

    fn failed(&mut self, failure: &Failure) {
        tracing::debug!(reason = %failure, "no further connection to the gateway");
        if let Failure::Login(LoginError::Refused(refuse)) = failure {
            self.backoff.at_least(refuse.retry_after);
        }
        self.pause();
    }

    /// All that ended together count as one.
    fn pause(&mut self) {
        let now = Instant::now();
        if now >= self.not_before {
            self.not_before = now + self.backoff.next(random());
        }
    }
}

#[cfg(test)]
mod tests;
