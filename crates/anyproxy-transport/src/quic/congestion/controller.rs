//! quinn's view of the state machine.

use std::{any::Any, sync::Arc, time::Instant};

use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics};
use quinn_proto::RttEstimator;

use super::{bbr::Bbr, sampler::Supply};

/// Makes a controller for each path.
#[derive(Debug)]
pub(super) struct BbrFactory;

impl ControllerFactory for BbrFactory {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        // Without lots flows of one host could probe in step; that costs some rate, nothing else.
        let seed = getrandom::u64().unwrap_or(0x9E37_79B9_7F4A_7C15);
        Box::new(Bbr::new(now, current_mtu, seed))
    }
}

impl Controller for Bbr {
    fn on_sent(&mut self, now: Instant, bytes: u64, _last_packet_number: u64) {
        Self::on_sent(self, now, bytes);
    }

    fn on_ack(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: u64,
        _app_limited: bool,
        _rtt: &RttEstimator,
    ) {
        Self::on_ack(self, now, sent, bytes);
    }

    fn on_end_acks(
        &mut self,
        now: Instant,
        in_flight: u64,
        app_limited: bool,
        _largest_packet_num_acked: Option<u64>,
    ) {
        let supply = if app_limited { Supply::Short } else { Supply::Ample };
        Self::on_end_acks(self, now, in_flight, supply);
    }

    fn on_congestion_event(
        &mut self,
        _now: Instant,
        sent: Instant,
        is_persistent_congestion: bool,
        lost_bytes: u64,
    ) {
        match lost_bytes {
            0 => self.on_marked(),
            lost => self.on_lost(sent, lost),
        }
        if is_persistent_congestion {
            self.on_persistent_congestion();
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.on_mtu(new_mtu);
    }

    fn window(&self) -> u64 {
        Self::window(self)
    }

    fn metrics(&self) -> ControllerMetrics {
        let mut metrics = ControllerMetrics::default();
        metrics.congestion_window = Self::window(self);
        metrics.pacing_rate = self.bandwidth().map(super::units::Rate::bits_per_second);
        metrics
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        Self::initial_window(self)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
