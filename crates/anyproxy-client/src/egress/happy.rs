//! Connecting to the first of several addresses that answers (RFC 8305, "Happy Eyeballs").
//!
//! Attempts start 250 ms apart, alternating between the address families; when one fails, the next
//! starts at once. All attempts live in one [`Race`]: when one wins, the deadline ends or the
//! caller leaves, dropping the race closes every other socket.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_transport::net::{BoxFuture, Conn, Net, Role};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use super::{
    dial::Dialled,
    error::{DialError, telling},
};

/// Between the starts of two attempts (RFC 8305 section 5, "Connection Attempt Delay").
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Attempts per dial. More addresses than this are load balancing, not alternatives, and each
/// attempt is a socket.
pub(super) const MAX_ATTEMPTS: usize = 16;

/// Checked addresses in the order in which they are tried; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    first: SocketAddr,
    others: Vec<SocketAddr>,
}

impl Addresses {
    /// Alternates between the families, beginning with that of the first address: the resolver
    /// sorted them by how likely they work (RFC 6724), and one family may be broken as a whole.
    /// `None` for no address; what is over [`MAX_ATTEMPTS`] is left out.
    pub(super) fn interleaved(addresses: Vec<SocketAddr>) -> Option<Self> {
        let rest = addresses.len().saturating_sub(1);
        let v4_first = addresses.first()?.is_ipv4();
        let (leading, other): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|address| address.is_ipv4() == v4_first);
        let (mut leading, mut other) = (leading.into_iter(), other.into_iter());
        let first = leading.next()?;
        let mut others = Vec::with_capacity(rest);
        while others.len() < rest {
            others.extend(other.next());
            others.extend(leading.next());
        }
        others.truncate(MAX_ATTEMPTS - 1);
        Some(Self { first, others })
    }

    /// All of them, in order.
    pub(super) fn into_vec(self) -> Vec<SocketAddr> {
        let mut all = self.others;
        all.insert(0, self.first);
        all
    }
}

/// Connects to the first of `addresses` that answers.
///
/// # Errors
/// [`DialError::Connect`] with the most telling failure; an attempt that the deadline ends counts
/// as timed out.
///
/// # Cancel safety
/// Dropping the future gives up every attempt.
pub(super) async fn connect(
    net: &dyn Net,
    addresses: Addresses,
    deadline: Deadline,
) -> Result<Dialled, DialError> {
    let mut race = Race::new(net, addresses);
    match deadline.bound(race.run()).await {
        Ok(Some(dialled)) => Ok(dialled),
        Ok(None) | Err(_) => Err(race.into_error()),
    }
}

/// One connection attempt, with the options of a proxied connection.
///
/// A connection to a port of this host that nobody listens on can meet itself, when the kernel
/// picks that very port as its source: TCP takes it for a simultaneous open (RFC 9293 section 3.5).
/// The user would talk to an echo, so it counts as refused.
async fn attempt(net: &dyn Net, address: SocketAddr) -> io::Result<Conn> {
    let conn = net.connect(address, Role::Proxied).await?;
    if conn.local_addr().is_ok_and(|local| local == address) {
        conn.abort();
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(conn)
}

/// One attempt, with the address it is for.
type Attempt<'a> = BoxFuture<'a, (SocketAddr, io::Result<Conn>)>;

struct Race<'a> {
    net: &'a dyn Net,
    /// Not started yet.
    waiting: VecDeque<SocketAddr>,
    running: FuturesUnordered<Attempt<'a>>,
    /// Started and not failed, in order of their start.
    unanswered: Vec<SocketAddr>,
    tried: usize,
    failure: Failure,
}

/// The most telling failure so far, the earliest among equals.
struct Failure {
    address: SocketAddr,
    error: io::Error,
    /// `None` as long as nothing failed.
    telling: Option<u8>,
}

impl<'a> Race<'a> {
    fn new(net: &'a dyn Net, addresses: Addresses) -> Self {
        Self {
            net,
            failure: Failure { address: addresses.first, error: no_answer(), telling: None },
            unanswered: Vec::with_capacity(addresses.others.len().saturating_add(1)),
            waiting: addresses.into_vec().into(),
            running: FuturesUnordered::new(),
            tried: 0,
        }
    }

    /// `None`: every attempt failed.
    async fn run(&mut self) -> Option<Dialled> {
        let mut next_start = self.start();
        while !self.running.is_empty() {
            tokio::select! {
                biased;
                Some((address, result)) = self.running.next() => match result {
                    Ok(conn) => return Some(Dialled { conn, address }),
                    Err(error) => {
                        self.failed(address, error);
                        next_start = self.start();
                    }
                },
                () = sleep_until(next_start), if !self.waiting.is_empty() => {
                    next_start = self.start();
                }
            }
        }
        None
    }

    /// Starts the next attempt, if there is one, and says when the one after it is due.
    fn start(&mut self) -> Instant {
        if let Some(address) = self.waiting.pop_front() {
            self.tried = self.tried.saturating_add(1);
            self.unanswered.push(address);
            let net = self.net;
            self.running.push(Box::pin(async move { (address, attempt(net, address).await) }));
        }
        let now = Instant::now();
        now.checked_add(ATTEMPT_DELAY).unwrap_or(now)
    }

    fn failed(&mut self, address: SocketAddr, error: io::Error) {
        tracing::debug!(%address, %error, "an attempt to connect failed");
        self.unanswered.retain(|other| *other != address);
        let telling = Some(telling(&error));
        if telling > self.failure.telling {
            self.failure = Failure { address, error, telling };
        }
    }

    /// The most telling failure, once the attempts that are still running count as timed out.
    fn into_error(mut self) -> DialError {
        for address in std::mem::take(&mut self.unanswered) {
            self.failed(address, no_answer());
        }
        let Failure { address, error, telling: _ } = self.failure;
        DialError::Connect { address, error, tried: self.tried }
    }
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}
