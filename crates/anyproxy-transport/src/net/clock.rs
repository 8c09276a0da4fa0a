//! Time that goes on while the machine sleeps.
//!
//! The runtime's clock does not on Linux (`CLOCK_MONOTONIC`, clock_gettime(2)), nor on macOS: after an hour in
//! suspend no timer is overdue, and nothing looks wrong. What has passed outside shows in the difference to
//! another clock.

use std::time::Duration;

/// A reading of such a clock; only differences mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutsideTime {
    /// Time since the machine started, sleep included. Nobody can set it.
    Boot(Duration),
    /// The wall clock: whoever sets it makes it jump, awake or not.
    Wall(Duration),
}

impl OutsideTime {
    /// The system's, the best that there is.
    pub(super) fn now() -> Option<Self> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            Duration::try_from(time).ok().map(Self::Boot)
        }
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        {
            let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            wall.ok().map(Self::Wall)
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn linux_counts_time_in_suspend() {
        assert!(matches!(OutsideTime::now(), Some(OutsideTime::Boot(time)) if !time.is_zero()));
    }
}
