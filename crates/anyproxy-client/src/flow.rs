//! One UDP flow at the client: policy, a socket of its own, datagrams both ways until it rests.
//!
//! ```text
//! gateway ══ Flow ══ relay ── connected socket ── target
//! ```
//!
//! Nothing here waits for room: what the socket or the tunnel does not take is dropped and counted,
//! as on any other hop of an IP network.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    Flow, Stream, StreamError, Tunnel,
    net::{Datagrams, is_icmp},
};
use anyproxy_wire::{
    codes::OpenCode,
    datagram::MAX_DATAGRAM,
    message::{Open, Target},
};
use tokio::{sync::Semaphore, time::Instant};

use crate::connection::{Exit, Refusal, gone, refuse};

/// A flow has no end of its own, so at a shutdown one that has rested for so long is over.
const DRAIN_IDLE: Duration = Duration::from_secs(2);

/// What all flows of a client share.
#[derive(Debug)]
pub(crate) struct Flows {
    live: AtomicUsize,
    dropped: AtomicU64,
    unreachable: AtomicU64,
    /// Through which all sockets receive.
    buffer: Mutex<Vec<u8>>,
}

impl Default for Flows {
    fn default() -> Self {
        Self {
            live: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            buffer: Mutex::new(vec![0; MAX_DATAGRAM]),
        }
    }
}

impl Flows {
    /// Datagrams dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// How often the network said that a target is not there.
    pub(crate) fn unreachable(&self) -> u64 {
        self.unreachable.load(Ordering::Relaxed)
    }

    /// Flows that live now.
    pub(crate) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// A place for one more flow, if fewer than `max` live.
    fn enter(self: &Arc<Self>, max: usize) -> Option<Place> {
        let more = |live: usize| live.checked_add(1).filter(|live| *live <= max);
        let entered = self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.ok().map(|_| Place(Arc::clone(self)))
    }
}

/// A live flow's; given back on drop.
struct Place(Arc<Flows>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a flow ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the gateway ended it")]
    Gateway,
    #[error("nothing moved for too long")]
    Idle,
    #[error(transparent)]
    Stream(StreamError),
    #[error("its socket failed: {0}")]
    Socket(io::Error),
}

impl Exit {
    /// Serves a flow that the gateway opened in a session that has room for so many more.
    pub(crate) async fn serve_flow(
        &self,
        (tunnel, room): (&Tunnel, Arc<Semaphore>),
        mut stream: Stream,
        open: &Open,
        deadline: Deadline,
    ) {
        let place = self.flows.enter(self.limits.max_flows).zip(room.try_acquire_owned().ok());
        let Some((place, _room)) = place else {
            let detail = "too many UDP flows".into();
            let refusal = Refusal { code: OpenCode::Overloaded, detail };
            return refuse(stream, open, refusal, deadline).await;
        };
        let reached = match self.check(tunnel, open) {
            Ok(destination) => tokio::select! {
                reached = self.egress.datagrams(&destination, deadline) => {
                    reached.map_err(|error| Refusal {
                        code: error.code(),
                        detail: error.to_string(),
                    })
                }
                () = gone(&mut stream) => {
                    return tracing::debug!(to = ?open.target, "the user left");
                }
            },
            Err(refusal) => Err(refusal),
        };
        let (socket, address) = match reached {
            Ok(reached) => reached,
            Err(refusal) => return refuse(stream, open, refusal, deadline).await,
        };
        let answer = stream.answer(OpenCode::Connected, "", Some(address));
        if !matches!(deadline.bound(answer).await, Ok(Ok(()))) {
            return tracing::debug!(to = ?open.target, "the user left");
        }
        tracing::debug!(to = ?open.target, %address, "flow opened");
        let relay = Relay {
            flow: Flow::new(stream),
            socket,
            address,
            place,
            idle: self.idle_of(open),
            moved: Instant::now(),
            counted: 0,
            unreachable: 0,
        };
        relay.run(&self.scope).await;
    }

    fn idle_of(&self, open: &Open) -> Duration {
        let forward = match &open.target {
            Target::Name(_) => None,
            Target::Forward(id) => {
                usize::try_from(*id).ok().and_then(|index| self.forwards.get(index))
            }
        };
        forward.and_then(|forward| forward.idle_timeout).unwrap_or(self.limits.flow_idle)
    }
}

struct Relay {
    flow: Flow,
    socket: Datagrams,
    address: SocketAddr,
    place: Place,
    idle: Duration,
    /// When a datagram last moved.
    moved: Instant,
    /// Drops of the flow that the client's count has.
    counted: u64,
    /// How often somebody on the way said that the target is not there.
    unreachable: u64,
}

impl Relay {
    async fn run(mut self, scope: &Scope) {
        let ended = self.relay(scope).await;
        self.count();
        tracing::debug!(address = %self.address, %ended, dropped = self.counted,
            unreachable = self.unreachable, "flow ended");
        match ended {
            Ended::Gateway | Ended::Idle => self.flow.end(),
            // Dropping it resets the other end.
            Ended::Stream(_) | Ended::Socket(_) => {}
        }
    }

    async fn relay(&mut self, scope: &Scope) -> Ended {
        let mut timer = pin!(tokio::time::sleep_until(self.moved + self.idle));
        let mut draining = false;
        loop {
            tokio::select! {
                got = self.flow.recv() => match got {
                    Ok(Some(payload)) => self.pass_on(&payload),
                    Ok(None) => return Ended::Gateway,
                    Err(error) => return Ended::Stream(error),
                },
                got = self.socket.recv_through(&self.place.0.buffer) => match got {
                    Ok((payload, _)) => {
                        self.moved = Instant::now();
                        let _ = self.flow.send(&payload);
                    }
                    Err(error) if is_icmp(&error) => self.not_there(&error),
                    Err(error) => return Ended::Socket(error),
                },
                () = scope.draining(), if !draining => {
                    draining = true;
                    self.idle = self.idle.min(DRAIN_IDLE);
                    timer.as_mut().reset(self.moved + self.idle);
                }
                () = timer.as_mut() => {
                    if self.moved.elapsed() >= self.idle {
                        return Ended::Idle;
                    }
                    timer.as_mut().reset(self.moved + self.idle);
                }
            }
            self.count();
        }
    }

    fn pass_on(&mut self, payload: &[u8]) {
        self.moved = Instant::now();
        if let Err(error) = self.socket.try_send(payload, self.address, None) {
            self.place.0.dropped.fetch_add(1, Ordering::Relaxed);
            if is_icmp(&error) {
                self.not_there(&error);
            }
        }
    }

    /// The next datagram may find the target there again.
    fn not_there(&mut self, error: &io::Error) {
        if self.unreachable == 0 {
            tracing::debug!(address = %self.address, %error, "the flow's target is not there");
        }
        self.unreachable = self.unreachable.saturating_add(1);
        self.place.0.unreachable.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes over what the flow has dropped since.
    fn count(&mut self) {
        let dropped = self.flow.dropped();
        self.place.0.dropped.fetch_add(dropped.saturating_sub(self.counted), Ordering::Relaxed);
        self.counted = dropped;
    }
}
