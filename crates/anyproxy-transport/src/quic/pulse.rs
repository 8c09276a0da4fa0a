//! The heartbeat of a QUIC tunnel, fed by quinn's counts: any received byte proves life, and every packet that
//! is more than an acknowledgement is to be acknowledged at once (RFC 9000, 13.2.1).
//!
//! quinn does not tell when a packet comes or goes, so it is asked: several times in each ping interval, and
//! twice a second while there are streams. That much earlier a silent peer counts as dead, so that it is never
//! later than agreed; a suspicion may come that much later.
//!
//! At the same looks it is judged whether what is sent gets through as it did (`strain.rs`).

use std::time::{Duration, Instant};

use anyproxy_wire::heartbeat::{Beat, Heartbeat};
use quinn::FrameStats;

use super::{shared::Shared, strain::Strain};

/// How often in a ping interval it is looked whether the peer has sent anything.
const LOOKS: u32 = 5;

/// How often while there are streams.
const LOOK_AT_STREAMS: Duration = Duration::from_millis(500);

/// More bytes than a Ping, a Pong and their acknowledgements have between two looks.
const DATA: u64 = 512;

pub(super) struct Pulse {
    heartbeat: Heartbeat,
    received: u64,
    sent: u64,
    look_every: Duration,
    look_at: Instant,
    strain: Strain,
}

impl Pulse {
    pub(super) fn new(shared: &Shared) -> Self {
        let (now, settings) = (now(), &shared.settings);
        let look_every = settings.ping_interval.checked_div(LOOKS).unwrap_or_default();
        let dead_after = settings.dead_after.saturating_sub(look_every);
        let heartbeat = Heartbeat::new(now, settings.ping_interval, dead_after);
        let stats = shared.conn.stats();
        let (received, sent) = (stats.udp_rx.bytes, eliciting(&stats.frame_tx));
        let strain = Strain::new(now, shared);
        Self { heartbeat, received, sent, look_every, look_at: later(now, look_every), strain }
    }

    /// When to call [`beat`](Self::beat).
    pub(super) fn next(&self) -> Instant {
        self.heartbeat.deadline().min(self.look_at)
    }

    /// The first stream is there: looks sooner.
    pub(super) fn quicken(&mut self, shared: &Shared) {
        if shared.streams() > 0 {
            self.look_at = self.look_at.min(later(now(), LOOK_AT_STREAMS));
        }
    }

    /// See [`Heartbeat::doubt`]. What came before says nothing.
    pub(super) fn doubt(&mut self, shared: &Shared, silence: Duration) {
        self.look(shared);
        self.heartbeat.doubt(now(), silence);
        self.strain.doubt(now(), shared);
    }

    pub(super) fn beat(&mut self, shared: &Shared) -> Beat {
        let now = now();
        self.look(shared);
        let busy = shared.streams() > 0;
        let pause = if busy { self.look_every.min(LOOK_AT_STREAMS) } else { self.look_every };
        self.look_at = later(now, pause);
        let beat = self.heartbeat.poll(now);
        shared.alarm.follow(&self.heartbeat);
        beat
    }

    /// Whether the peer is to hear that the tunnel is strained: once for each time that it is found so.
    pub(super) fn take_strain(&mut self) -> bool {
        self.strain.take()
    }

    fn look(&mut self, shared: &Shared) {
        let now = now();
        let stats = shared.conn.stats();
        let (received, sent) = (stats.udp_rx.bytes, eliciting(&stats.frame_tx));
        if received.saturating_sub(self.received) > DATA {
            self.heartbeat.received_data(now);
        } else if received != self.received {
            self.heartbeat.received(now);
        } else if sent != self.sent {
            self.heartbeat.asked(now);
        }
        (self.received, self.sent) = (received, sent);
        self.heartbeat.set_rtt(stats.path.rtt);
        self.strain.look(now, shared, stats.path.rtt);
    }
}

/// An overflow, which no real clock gets to, means at once.
fn later(now: Instant, pause: Duration) -> Instant {
    now.checked_add(pause).unwrap_or(now)
}

/// Frames sent that are to be acknowledged. Not PING: quinn also sends those to find the path's MTU, and it is no
/// wonder when they are lost; our own Ping is a frame on the control stream.
fn eliciting(sent: &FrameStats) -> u64 {
    let streams = [sent.stream, sent.datagram, sent.reset_stream, sent.stop_sending];
    let limits = [sent.max_data, sent.max_stream_data, sent.max_streams_bidi, sent.path_challenge];
    streams.into_iter().chain(limits).fold(0, u64::saturating_add)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
