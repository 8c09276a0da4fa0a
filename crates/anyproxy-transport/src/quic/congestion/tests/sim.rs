//! Flows over one bottleneck, event by event. A sender does as quinn does: its pacer, its packet and
//! time thresholds for losses, its probes; a receiver acknowledges every second packet, or at once
//! when there is a gap, or after 25 ms.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use super::{
    super::{bbr::Bbr, sampler::Supply},
    flow::{App, Brain, Flow, MAX_ACK_DELAY, PACKET, Persistent},
    link::{Bottleneck, Link, Lots},
};

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive { flow: usize, number: u64 },
    DelayedAck { flow: usize, number: u64 },
    Ack { flow: usize, numbers: Vec<u64> },
    Wake { flow: usize },
}

/// The world.
pub(super) struct Sim {
    start: Instant,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    pub(super) bottleneck: Bottleneck,
    lots: Lots,
    flows: Vec<Flow>,
    /// Sum and count of waits in the queue, in nanoseconds, since the last [`Sim::queue`].
    waits: (u64, u64),
}

impl Sim {
    pub(super) fn new(link: Link, seed: u64) -> Self {
        Self {
            start: Instant::now(),
            now: 0,
            events: BinaryHeap::new(),
            order: 0,
            bottleneck: Bottleneck::new(link),
            lots: Lots::new(seed),
            flows: Vec::new(),
            waits: (0, 0),
        }
    }

    /// The moment zero, for controllers.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    fn instant(&self, at: u64) -> Instant {
        self.start + Duration::from_nanos(at)
    }

    /// A flow that starts after `seconds`.
    pub(super) fn add(&mut self, brain: Box<dyn Brain>, app: App, seconds: f64) -> usize {
        let starts = (seconds * 1e9) as u64;
        let id = self.flows.len();
        self.flows.push(Flow::new(brain, app, starts));
        self.push(starts, Event::Wake { flow: id });
        id
    }

    /// The flow has no more to send after `seconds`.
    pub(super) fn end(&mut self, flow: usize, seconds: f64) {
        self.flows[flow].ends = (seconds * 1e9) as u64;
    }

    /// A bulk flow of our own, from the beginning.
    pub(super) fn ours(link: Link, seed: u64) -> (Self, usize) {
        let mut sim = Self::new(link, seed);
        let brain = Bbr::new(sim.start(), PACKET as u16, seed);
        let id = sim.add(Box::new(brain), App::Bulk, 0.0);
        (sim, id)
    }

    fn push(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    /// Runs until `seconds` after the beginning.
    pub(super) fn run_to(&mut self, seconds: f64) {
        let until = (seconds * 1e9) as u64;
        while self.events.peek().is_some_and(|Reverse((at, ..))| *at <= until) {
            let Some(Reverse((at, _, event))) = self.events.pop() else { return };
            self.now = at;
            match event {
                Event::Arrive { flow, number } => self.arrive(flow, number),
                Event::DelayedAck { flow, number } => {
                    if self.flows[flow].pending.first() == Some(&number) {
                        self.acknowledge(flow);
                    }
                }
                Event::Ack { flow, numbers } => self.on_ack(flow, &numbers),
                Event::Wake { flow } => {
                    if self.flows[flow].wake.is_none_or(|wake| wake <= at) {
                        self.flows[flow].wake = None;
                        self.wake(flow);
                    }
                }
            }
        }
        self.now = until;
    }

    fn arrive(&mut self, flow: usize, number: u64) {
        let slot = (self.now / 100_000_000) as usize;
        let it = &mut self.flows[flow];
        if it.arrived.len() <= slot {
            it.arrived.resize(slot + 1, 0);
        }
        it.arrived[slot] += PACKET;
        let gap = number != it.expected;
        it.expected = it.expected.max(number + 1);
        it.pending.push(number);
        match it.pending.len() {
            len if len >= 2 || gap => self.acknowledge(flow),
            _ => self.push(self.now + MAX_ACK_DELAY, Event::DelayedAck { flow, number }),
        }
    }

    fn acknowledge(&mut self, flow: usize) {
        // An acknowledgement names all that came before; if one is lost the next one serves.
        if self.lots.draw() < self.bottleneck.link.loss {
            return;
        }
        let numbers = std::mem::take(&mut self.flows[flow].pending);
        let link = self.bottleneck.link;
        let mut at = self.now;
        if !link.lumps.is_zero() {
            let lump = link.lumps.as_nanos() as u64;
            at = at.div_ceil(lump) * lump;
        }
        self.push(at + link.rtt.as_nanos() as u64 / 2, Event::Ack { flow, numbers });
    }

    fn on_ack(&mut self, flow: usize, numbers: &[u64]) {
        let (now, instant) = (self.now, self.instant(self.now));
        let start = self.start;
        let it = &mut self.flows[flow];
        let Some(&largest) = numbers.iter().max() else { return };
        for number in numbers {
            let Some(sent) = it.sent.remove(number) else { continue };
            if *number == largest {
                it.latest = now - sent;
                let first = std::mem::take(&mut it.fresh);
                it.srtt = if first { it.latest } else { it.srtt / 8 * 7 + it.latest / 8 };
            }
            it.brain.on_ack(instant, start + Duration::from_nanos(sent), PACKET);
        }
        it.heard = now;
        it.probes = 0;
        let (in_flight, supply) = (it.in_flight(), it.supply);
        it.brain.on_end_acks(instant, in_flight, supply);
        self.detect(flow, largest);
        self.wake(flow);
    }

    /// Packet threshold 3, time threshold 9/8 (RFC 9002, 6.1).
    fn detect(&mut self, flow: usize, largest: u64) {
        let (now, instant, start) = (self.now, self.instant(self.now), self.start);
        let it = &mut self.flows[flow];
        let late = it.srtt.max(it.latest) / 8 * 9;
        let lost: Vec<(u64, u64)> = it
            .sent
            .range(..largest)
            .filter(|&(&number, &sent)| number + 3 <= largest || now - sent >= late)
            .map(|(&number, &sent)| (number, sent))
            .collect();
        let (Some(first), Some(last)) = (lost.first(), lost.last()) else { return };
        let whole = last.0 - first.0 + 1 == lost.len() as u64;
        let long = last.1 - first.1 > 3 * (it.srtt * 3 + MAX_ACK_DELAY);
        let persistent = if whole && long { Persistent::Yes } else { Persistent::No };
        for (number, _) in &lost {
            it.sent.remove(number);
        }
        let sent = start + Duration::from_nanos(last.1);
        it.brain.on_lost(instant, sent, lost.len() as u64 * PACKET, persistent);
    }

    fn wake(&mut self, flow: usize) {
        let now = self.now;
        if now >= self.flows[flow].heard + self.flows[flow].pto()
            && self.flows[flow].in_flight() > 0
        {
            self.flows[flow].heard = now;
            self.flows[flow].probes += 1;
            self.send(flow);
            self.send(flow);
        }
        let next = loop {
            let it = &mut self.flows[flow];
            let room = it.in_flight() + PACKET < it.brain.window();
            let short = room && !it.has_data(now);
            it.supply = if short { Supply::Short } else { Supply::Ample };
            if !room {
                break None;
            }
            if !it.has_data(now) {
                break Some(now + 1_000_000);
            }
            if let Some(at) = it.paced_until(now) {
                break Some(at);
            }
            it.tokens -= PACKET as f64;
            it.used += PACKET as f64;
            self.send(flow);
        };
        let it = &mut self.flows[flow];
        let probe = (it.in_flight() > 0).then(|| it.heard + it.pto());
        let Some(at) = next.into_iter().chain(probe).min() else { return };
        it.wake = Some(at.max(now + 1));
        self.push(at.max(now + 1), Event::Wake { flow });
    }

    fn send(&mut self, flow: usize) {
        let (now, instant) = (self.now, self.instant(self.now));
        let it = &mut self.flows[flow];
        let number = it.next;
        it.next += 1;
        if it.sent.is_empty() {
            it.heard = it.heard.max(now);
        }
        it.sent.insert(number, now);
        it.brain.on_sent(instant, PACKET);
        self.waits.0 += self.bottleneck.waiting(now);
        self.waits.1 += 1;
        if let Some(at) = self.bottleneck.pass(now, PACKET, &mut self.lots) {
            self.push(at, Event::Arrive { flow, number });
        }
    }

    /// Rate at which data arrived between two moments, in Mbit/s.
    pub(super) fn mbit(&self, flow: usize, from: f64, to: f64) -> f64 {
        let (first, last) = ((from * 10.0) as usize, (to * 10.0) as usize);
        let arrived = &self.flows[flow].arrived;
        let bytes: u64 = arrived.iter().take(last).skip(first).sum();
        bytes as f64 * 8e-6 / (to - from)
    }

    /// Mean wait in the queue since the last call.
    pub(super) fn queue(&mut self) -> Duration {
        let (sum, count) = std::mem::take(&mut self.waits);
        Duration::from_nanos(sum / count.max(1))
    }

    /// What a flow may have in flight.
    pub(super) fn window(&self, flow: usize) -> u64 {
        self.flows[flow].brain.window()
    }
}
