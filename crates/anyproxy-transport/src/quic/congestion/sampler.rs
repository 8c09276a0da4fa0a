//! Delivery rates (draft-ietf-ccwg-bbr, 4.1; draft-cheng-iccrg-delivery-rate-estimation).
//!
//! ```text
//! on_sent ──▶ record: what was delivered by then ──┐ found again by its send time
//! on_ack  ──▶ delivered since ÷ time since ◀───────┘
//! ```
//!
//! quinn tells a controller when an acknowledged packet was sent, but not its number. So a record is
//! keyed by time. Sends that are close together share one: a packet is then measured from a moment
//! shortly before it left, with all that was delivered since that moment, which is as good.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::units::Rate;

/// Most records kept; older ones give no samples. With [`PER_ROUND`] this is several round trips.
const MAX_RECORDS: usize = 1024;

/// Records for one round trip.
const PER_ROUND: u32 = 256;

/// Round trips shorter than this are joined: on a host's own network they are too short to judge.
const SHORTEST_ROUND: Duration = Duration::from_millis(5);

/// Smaller packets carry acknowledgements or pings: they tell nothing about a rate.
const SMALLEST: u64 = 150;

/// What the window was for when a packet left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// To hold less in flight than the path takes: losses and delays are not our doing.
    Calm,
    /// Anything else.
    Busy,
}

/// Whether the application has enough to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supply {
    /// The window or the pacer is what holds data back.
    Ample,
    /// There is nothing to send: rates are the application's, not the path's.
    Short,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    sent_at: Instant,
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    supply: Supply,
    kind: Sent,
}

/// What one batch of acknowledgements tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Delivery rate over the newest packet's flight.
    pub(super) rate: Option<Rate>,
    /// Whose rate it is.
    pub(super) supply: Supply,
    /// A packet that was sent after the last round's end came back.
    pub(super) round_start: bool,
    /// Bytes newly acknowledged.
    pub(super) acked: u64,
}

/// Measures how fast data arrives at the peer.
#[derive(Debug, Clone)]
pub(super) struct Sampler {
    records: VecDeque<Record>,
    delivered: u64,
    delivered_at: Instant,
    first_sent_at: Instant,
    in_flight: u64,
    short_until: u64,
    next_round: u64,
    round_at: Instant,
    acked: u64,
    newest: Option<(Instant, Record)>,
}

impl Sampler {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            records: VecDeque::new(),
            delivered: 0,
            delivered_at: now,
            first_sent_at: now,
            in_flight: 0,
            short_until: 0,
            next_round: 0,
            round_at: now,
            acked: 0,
            newest: None,
        }
    }

    /// Notes what was delivered when `bytes` leave. `rtt` is a usual round trip.
    pub(super) fn on_sent(&mut self, now: Instant, bytes: u64, rtt: Duration, kind: Sent) {
        if bytes < SMALLEST {
            return;
        }
        if self.in_flight == 0 {
            // After a pause the rate is counted from its end.
            self.delivered_at = now;
            self.first_sent_at = now;
        }
        self.in_flight = self.in_flight.saturating_add(bytes);
        let close = |last: &Record| {
            last.kind == kind && now.saturating_duration_since(last.sent_at) < rtt / PER_ROUND
        };
        if self.records.back().is_some_and(close) {
            return;
        }
        if self.records.len() >= MAX_RECORDS {
            self.records.pop_front();
        }
        self.records.push_back(Record {
            sent_at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            supply: match self.delivered < self.short_until {
                true => Supply::Short,
                false => Supply::Ample,
            },
            kind,
        });
    }

    /// One packet, sent at `sent`, arrived. Says what it was sent for.
    pub(super) fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64) -> Sent {
        self.delivered = self.delivered.saturating_add(bytes);
        self.acked = self.acked.saturating_add(bytes);
        self.delivered_at = now;
        let Some(record) = self.record_of(sent).copied() else { return Sent::Busy };
        if bytes >= SMALLEST && self.newest.is_none_or(|(at, _)| sent >= at) {
            self.newest = Some((sent, record));
        }
        record.kind
    }

    /// Packets were lost, the last of which was sent at `sent`. Says what it was sent for.
    pub(super) fn on_lost(&mut self, sent: Instant, bytes: u64) -> Sent {
        self.in_flight = self.in_flight.saturating_sub(bytes);
        self.record_of(sent).map_or(Sent::Busy, |record| record.kind)
    }

    fn record_of(&self, sent: Instant) -> Option<&Record> {
        let after = self.records.partition_point(|record| record.sent_at <= sent);
        self.records.get(after.checked_sub(1)?)
    }

    /// A batch of acknowledgements is complete. `shortest` is the path's own round trip: a rate over
    /// less time says more about the acknowledgements than about the path.
    pub(super) fn end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        supply: Supply,
        shortest: Duration,
    ) -> Sample {
        self.in_flight = in_flight;
        if supply == Supply::Short {
            // Whatever leaves before this much has arrived shows the application's rate.
            self.short_until = self.delivered.saturating_add(in_flight).max(1);
        }
        let acked = std::mem::take(&mut self.acked);
        let mut sample = Sample { rate: None, supply, round_start: false, acked };
        let Some((sent, record)) = self.newest.take() else { return sample };
        self.first_sent_at = sent;
        let sending = sent.saturating_duration_since(record.first_sent_at);
        let arriving = now.saturating_duration_since(record.delivered_at);
        let time = sending.max(arriving);
        if time >= shortest {
            sample.rate = Rate::of(self.delivered.saturating_sub(record.delivered), time);
        }
        sample.supply = record.supply;
        if record.delivered >= self.next_round
            && now.saturating_duration_since(self.round_at) >= SHORTEST_ROUND
        {
            self.round_at = now;
            sample.round_start = true;
            self.next_round = self.delivered;
        }
        self.forget(now, sent);
        sample
    }

    /// Drops records that no acknowledgement or loss report will ask for.
    fn forget(&mut self, now: Instant, acked: Instant) {
        let flight = now.saturating_duration_since(acked);
        let old = |record: &Record| {
            acked.saturating_duration_since(record.sent_at) > flight.saturating_mul(3)
        };
        while self.records.len() > 1 && self.records.front().is_some_and(old) {
            self.records.pop_front();
        }
    }
}
