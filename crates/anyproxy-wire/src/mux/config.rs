//! What a mux is told at its start.

use std::sync::Arc;

use crate::credit::GrowthPool;
use crate::frame::MAX_DATA;

/// Which end of the tunnel this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Opens data streams.
    Gateway,
    /// Accepts data streams.
    Client,
}

impl Side {
    /// Whether ids with this low bit are this side's to open.
    pub(super) const fn opens(self, id: u64) -> bool {
        match self {
            Self::Gateway => id & 1 == 1,
            Self::Client => id & 1 == 0,
        }
    }
}

/// The limits and sizes of a [`Mux`](super::Mux).
#[derive(Debug, Clone)]
pub struct MuxConfig {
    /// Which side this is.
    pub side: Side,
    /// The initial credit that the peer announced, in bytes: what each stream may send at first.
    pub send_credit: u64,
    /// The initial credit that this side announced, in bytes.
    pub recv_credit: u64,
    /// The most to which the window of one stream may grow, in bytes.
    pub recv_ceiling: u64,
    /// The most streams at a time, of which some may only wait to be forgotten.
    pub max_streams: usize,
    /// How many bytes of one stream may wait to be sent.
    pub send_buffer: usize,
    /// The most bytes of a stream in one Data frame, at most [`MAX_DATA`].
    pub data_frame: usize,
    /// From where the windows grow.
    pub pool: Arc<GrowthPool>,
}

impl MuxConfig {
    pub(super) fn within_limits(self) -> Self {
        Self {
            data_frame: self.data_frame.clamp(1, MAX_DATA),
            send_buffer: self.send_buffer.max(1),
            ..self
        }
    }
}
