//! Datagrams at their group's meters. They do not wait: what is over the rate is dropped and counted.
//! Those that take the flow's stream are bound by the stream.

use super::{Flow, Sent};
use crate::tunnel::Datagram;

impl Flow {
    /// Sends within the rate. What turns out to be too large is the stream's to count.
    pub(super) fn send_paced(&mut self, payload: &[u8]) -> Datagram {
        let meter = self.stream.meters().map(|meters| &meters.send);
        if meter.is_some_and(|meter| !meter.try_take(payload.len())) {
            self.link.count(1);
            return Datagram::Dropped;
        }
        let tried = self.link.send(self.stream.id(), payload);
        if let (Datagram::TooLarge, Some(meter)) = (tried, meter) {
            meter.give_back(payload.len());
        }
        tried
    }

    /// Whether a datagram that came is within the rate.
    pub(super) fn admit(&mut self, payload: &[u8]) -> Sent {
        let meter = self.stream.meters().map(|meters| &meters.recv);
        if meter.is_some_and(|meter| !meter.try_take(payload.len())) {
            return self.drop_one();
        }
        Sent::Queued
    }
}
