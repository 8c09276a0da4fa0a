//! How far the attempt over one transport is.

use std::time::{Duration, Instant};

/// The state of an attempt; `began` is when it was dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Idle,
    Due(Instant),
    Dialling {
        began: Instant,
    },
    /// It could log in, and took so long to get there.
    Ready {
        began: Instant,
        took: Duration,
    },
    LoggingIn {
        began: Instant,
        since: Instant,
    },
}

impl Attempt {
    /// When it is to be dialled, if it only waits for that.
    pub(super) fn due(self) -> Option<Instant> {
        match self {
            Self::Due(at) => Some(at),
            Self::Idle | Self::Dialling { .. } | Self::Ready { .. } | Self::LoggingIn { .. } => {
                None
            }
        }
    }

    /// When it was dialled, if it was.
    pub(super) fn began(self) -> Option<Instant> {
        match self {
            Self::Dialling { began }
            | Self::Ready { began, .. }
            | Self::LoggingIn { began, .. } => Some(began),
            Self::Idle | Self::Due(_) => None,
        }
    }

    pub(super) fn is_logging_in(self) -> bool {
        matches!(self, Self::LoggingIn { .. })
    }

    /// Whether nothing was done yet that the gateway could have seen as a log-in.
    pub(super) fn is_under_way(self) -> bool {
        matches!(self, Self::Dialling { .. } | Self::Ready { .. })
    }
}
