//! One flow, from its first datagram to its end.

use std::{future::Future, hash::Hash, io, pin::pin};

use anyproxy_runtime::Deadline;
use anyproxy_transport::{Flow, Sent, StreamError};
use anyproxy_wire::codes::OpenCode;
use futures_util::future::OptionFuture;
use tokio::time::{Instant, sleep_until};

use super::{Flows, HOLD_OFF, LAST_ANSWERS, LAST_QUIET, LOOK_AGAIN, table::Slot};
use crate::figures::Reason;

/// The user's side of a flow.
pub(crate) trait UserSide: Send + Sync + 'static {
    /// Opens the flow through the tunnel. Cancel safe: dropping the future gives it up.
    ///
    /// # Errors
    /// [`Unopened`].
    fn open(&mut self, deadline: Deadline) -> impl Future<Output = Result<Flow, Unopened>> + Send;

    /// Sends a reply to the user; never waits.
    ///
    /// # Errors
    /// What the socket answered; the reply is lost then.
    fn reply(&self, payload: &[u8]) -> io::Result<()>;

    /// Watches the session after something was sent into the flow: whether its client has fallen
    /// silent and somebody else could carry the flow. Cancel safe.
    fn is_lost(&self) -> impl Future<Output = bool> + Send {
        std::future::ready(false)
    }

    /// The session takes no new flows any more.
    fn draining(&self) {}
}

/// A flow that was not opened, and why, for people. Asking again at once is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unopened(pub(crate) String);

/// How a flow ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    /// Nothing moved for long enough.
    Idle,
    /// Another flow has its place.
    GaveWay,
    /// The client ended it, or the session died or fell silent: the next datagram may open another at once.
    Over(String),
    /// There is nobody to talk to; the next datagram shall not ask at once.
    Refused(String),
}

/// Runs one flow to its end. Dropping it ends the flow.
pub(super) async fn run<K, U>(mut user: U, slot: Slot<K>)
where
    K: Clone + Eq + Hash + Send + Sync,
    U: UserSide,
{
    let flows = &slot.table.flows;
    let deadline = Deadline::after(flows.open_within);
    let opened = tokio::select! {
        biased;
        () = slot.inbox.evicted() => return,
        opened = deadline.bound(async {
            slot.vacant().await;
            user.open(deadline).await
        }) => opened,
    };
    let mut label = None;
    let ended = match opened {
        Ok(Ok(flow)) => {
            let connection = label.insert(flow.label());
            tracing::debug!(%connection, "flow opened");
            slot.inbox.open();
            let _live = flows.counters.open();
            relay(flows, &user, &slot, flow).await
        }
        Ok(Err(Unopened(reason))) => Ended::Refused(reason),
        Err(_) => Ended::Refused("not opened in time".into()),
    };
    tracing::debug!(connection = label.map(tracing::field::display), ?ended, "a flow ended");
    if matches!(ended, Ended::Refused(_)) {
        flows.counters.dropped(Reason::Refused, slot.inbox.rest());
        tokio::select! {
            () = slot.inbox.evicted() => {}
            () = slot.table.scope.draining() => {}
            () = tokio::time::sleep(HOLD_OFF) => {}
        }
    }
}

/// Moves datagrams both ways until the flow is over.
async fn relay<K, U>(flows: &Flows, user: &U, slot: &Slot<K>, mut flow: Flow) -> Ended
where
    K: Clone + Eq + Hash,
    U: UserSide,
{
    let (mut idle, mut last) = (flows.idle, None::<Instant>);
    let mut replies = 0_u64;
    let mut losses = Losses::default();
    let mut timer = pin!(sleep_until(slot.inbox.touched() + idle));
    let mut draining = pin!(slot.table.scope.draining());
    // At most one at a time.
    let mut watch = pin!(OptionFuture::from(None));
    let (mut watching, mut heard) = (false, Instant::now());
    loop {
        tokio::select! {
            taken = slot.next() => match taken {
                // What had no room is counted by the flow.
                Some(payload) => {
                    let sent = flow.send(&payload);
                    if sent == Sent::Queued && !watching && heard.elapsed() >= LOOK_AGAIN {
                        watching = true;
                        watch.set(Some(user.is_lost()).into());
                    }
                }
                None => return Ended::GaveWay,
            },
            Some(is_lost) = watch.as_mut(), if watching => {
                if is_lost {
                    losses.count(flows, &flow);
                    return Ended::Over("the client is silent".into());
                }
                (watching, heard) = (false, Instant::now());
            }
            got = flow.recv() => match got {
                Ok(Some(payload)) => {
                    replies += 1;
                    heard = Instant::now();
                    slot.inbox.touch();
                    answer(flows, user, &payload);
                }
                other => {
                    losses.count(flows, &flow);
                    return over(user, other.err(), replies);
                }
            },
            () = timer.as_mut() => {
                let until = slot.inbox.touched() + idle;
                let until = last.map_or(until, |last| until.min(last));
                if until <= Instant::now() {
                    losses.count(flows, &flow);
                    flow.end();
                    return Ended::Idle;
                }
                timer.as_mut().reset(until);
            }
            () = draining.as_mut(), if last.is_none() => {
                // There is no end to wait for: only answers that may be under way.
                idle = idle.min(LAST_QUIET);
                last = Some(Instant::now() + LAST_ANSWERS);
                timer.as_mut().reset(slot.inbox.touched() + idle);
            }
        }
        losses.count(flows, &flow);
    }
}

fn answer<U: UserSide>(flows: &Flows, user: &U, payload: &[u8]) {
    match user.reply(payload) {
        Ok(()) => flows.counters.answered(),
        Err(_) => flows.counters.dropped(Reason::Unsent, 1),
    }
}

/// The end of a flow that the other side ended; `None`: cleanly.
fn over<U: UserSide>(user: &U, error: Option<StreamError>, replies: u64) -> Ended {
    match error {
        None => Ended::Over("the client ended it".into()),
        Some(error @ StreamError::TunnelLost(_)) => Ended::Over(error.to_string()),
        Some(error @ StreamError::Refused { code: OpenCode::Draining, .. }) => {
            user.draining();
            Ended::Over(error.to_string())
        }
        // A target that never answered is as good as one that refused.
        Some(error) if replies == 0 => Ended::Refused(error.to_string()),
        Some(error) => Ended::Over(error.to_string()),
    }
}

/// What the flow itself has dropped, as far as it is counted already.
#[derive(Debug, Default)]
struct Losses(u64);

impl Losses {
    fn count(&mut self, flows: &Flows, flow: &Flow) {
        let dropped = flow.dropped();
        if dropped > self.0 {
            flows.counters.dropped(Reason::QueueFull, dropped - self.0);
            self.0 = dropped;
        }
    }
}
