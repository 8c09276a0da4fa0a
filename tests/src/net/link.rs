//! Links between two addresses: their settings and their faults.

use std::{fmt, io, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    state::Inner,
    tap::{Capture, Stats},
};

/// What a link does to its packets, in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkSettings {
    /// From one end to the other.
    pub delay: Duration,
    /// Added to `delay`, uniformly between zero and this. Datagrams overtake each other; TCP
    /// delivers in order.
    pub jitter: Duration,
    /// Probability that a packet is lost, 0 to 1. A datagram is gone; a TCP segment comes later by
    /// the retransmission time-out, and those behind it wait.
    pub loss: f64,
    /// Probability that a datagram arrives twice, 0 to 1.
    pub duplicate: f64,
    /// Bytes per second; none: no limit. UDP and TCP each have this rate for themselves.
    pub rate: Option<u64>,
    /// Bytes of datagrams that wait for a link with a `rate`; what comes on top is dropped.
    pub queue: usize,
    /// Bytes of the largest UDP payload that passes. Larger ones are dropped silently.
    pub mtu: usize,
    /// Bytes that one TCP connection's direction holds: written and, as far as the writer knows, not
    /// yet read. A writer waits for room.
    pub window: usize,
}

impl LinkSettings {
    /// A link that only takes time.
    #[must_use]
    pub fn with_delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}

impl Default for LinkSettings {
    /// No delay, no loss, no rate limit; UDP payloads of 1,472 bytes (Ethernet, IPv4), 256 KiB of
    /// queue and of TCP window.
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            rate: None,
            queue: 256 * 1024,
            mtu: 1_472,
            window: 256 * 1024,
        }
    }
}

/// Whether a fault is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Switch {
    /// The fault is there.
    On,
    /// It is not.
    #[default]
    Off,
}

/// What a new TCP connection over a link meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connects {
    /// The other host answers.
    #[default]
    Pass,
    /// RST, as from a host without a listener.
    Refused,
    /// ICMP "host unreachable".
    HostUnreachable,
    /// ICMP "network unreachable".
    NetworkUnreachable,
}

impl Connects {
    pub(super) fn failure(self) -> Option<io::ErrorKind> {
        match self {
            Self::Pass => None,
            Self::Refused => Some(io::ErrorKind::ConnectionRefused),
            Self::HostUnreachable => Some(io::ErrorKind::HostUnreachable),
            Self::NetworkUnreachable => Some(io::ErrorKind::NetworkUnreachable),
        }
    }
}

/// How old connections and flows over a link may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Longest {
    /// TCP connections, from their SYN; both ends get RST then.
    pub tcp: Option<Duration>,
    /// Flows of datagrams between two sockets; what is sent later falls into a black hole.
    pub udp: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum Directions {
    Both,
    Forward,
}

/// The link between two addresses; changes apply to packets that enter it from now on.
#[derive(Clone)]
pub struct LinkHandle {
    inner: Arc<Inner>,
    from: IpAddr,
    to: IpAddr,
    directions: Directions,
}

impl fmt::Debug for LinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.from, self.directions, self.to)
    }
}

impl LinkHandle {
    pub(super) fn new(inner: Arc<Inner>, from: IpAddr, to: IpAddr) -> Self {
        Self { inner, from, to, directions: Directions::Both }
    }

    /// Only the direction from the first address to the second.
    #[must_use]
    pub fn forward(&self) -> Self {
        Self { directions: Directions::Forward, ..self.clone() }
    }

    /// Only the direction from the second address to the first.
    #[must_use]
    pub fn backward(&self) -> Self {
        Self { from: self.to, to: self.from, directions: Directions::Forward, ..self.clone() }
    }

    fn paths(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + use<> {
        let back = match self.directions {
            Directions::Both if self.from != self.to => Some((self.to, self.from)),
            Directions::Both | Directions::Forward => None,
        };
        std::iter::once((self.from, self.to)).chain(back)
    }

    /// Replaces the settings.
    pub fn set(&self, settings: LinkSettings) {
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).settings = Some(settings);
        }
    }

    /// Swallows datagrams while on. Those under way still arrive.
    pub fn black_hole_udp(&self, switch: Switch) {
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).udp_hole = switch;
        }
    }

    /// Answers datagrams with ICMP "port unreachable" while on, as a firewall that rejects. Only
    /// sockets for proxied datagrams are told; QUIC's never are, because they are not connected.
    pub fn refuse_udp(&self, switch: Switch) {
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).udp_refused = switch;
        }
    }

    /// Holds TCP back while on. Bytes, FIN, RST and acknowledgements enter when it is switched off,
    /// as if they were retransmitted at that moment; SYN is lost and retried by the connecting side
    /// after 1, 2, 4 … s. What is under way still arrives.
    pub fn black_hole_tcp(&self, switch: Switch) {
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).tcp_hole = switch;
        }
        state.release_held();
    }

    /// Both, as when a cable is cut.
    pub fn black_hole(&self, switch: Switch) {
        self.black_hole_udp(switch);
        self.black_hole_tcp(switch);
    }

    /// What connects over this link meet from now on; connections that exist go on.
    pub fn connects(&self, connects: Connects) {
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).connects = connects;
        }
    }

    /// Limits datagrams to so many bytes per second, whatever TCP gets; none: as the settings say.
    pub fn throttle_udp(&self, rate: Option<u64>) {
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).udp_rate = rate;
        }
    }

    /// Cuts connections and flows at an age, as a middlebox with fixed sessions. It holds for connections that
    /// begin from now on.
    pub fn cut_after(&self, longest: Longest) {
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).longest = longest;
        }
    }

    /// Swallows everything that belongs to a connection or a flow that there is, for good, as a middlebox
    /// does that forgot its state and says nothing. What is new passes.
    pub fn forget(&self) {
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).forgot = Some(Instant::now());
        }
        state.forget_between(self.from, self.to);
    }

    /// Resets every TCP connection of the link at once, as a middlebox does that forgot its state:
    /// both ends get RST. In which direction it was opened does not matter.
    pub fn reset_tcp(&self) {
        self.inner.lock().reset_between(self.from, self.to);
    }

    /// Starts to record.
    #[must_use]
    pub fn capture(&self) -> Capture {
        let capture = Capture::default();
        let mut state = self.inner.lock();
        for (from, to) in self.paths() {
            state.path(from, to).taps.push(capture.clone());
        }
        capture
    }

    /// Counters of the handle's directions.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut state = self.inner.lock();
        let mut sum = Stats::default();
        for (from, to) in self.paths() {
            sum += state.path(from, to).stats;
        }
        sum
    }
}
