//! This machine's clock beside the gateway's.

use std::time::{Duration, SystemTime};

use anyproxy_transport::NoDate;

use crate::doctor::{Finding, machine};

/// No check of a certificate turns on less.
const LITTLE: Duration = Duration::from_secs(5 * 60);
/// Certificates that renew in time fail here at last.
const MUCH: Duration = Duration::from_secs(24 * 60 * 60);

/// Two clocks at one moment.
pub(super) struct Reading {
    ours: SystemTime,
    theirs: Result<SystemTime, NoDate>,
}

impl Reading {
    pub(super) fn new(ours: SystemTime, theirs: Result<SystemTime, NoDate>) -> Self {
        Self { ours, theirs }
    }

    /// Whether the clocks differ by so much that a certificate fails by it; `None`: not known.
    pub(super) fn is_wrong(&self) -> Option<bool> {
        self.theirs.ok().map(|theirs| apart(self.ours, theirs).0 >= MUCH)
    }

    pub(super) fn finding(&self) -> Finding {
        const CHECK: &str = "clock";
        let theirs = match self.theirs {
            Ok(theirs) => theirs,
            Err(why) => {
                return machine::unset_clock(self.ours)
                    .unwrap_or_else(|| Finding::skip(CHECK, why.to_string()));
            }
        };
        let (apart, side) = apart(self.ours, theirs);
        if apart < LITTLE {
            return Finding::ok(CHECK, "it agrees with the gateway's");
        }
        let value = format!(
            "it is {} {side} the gateway's: here {}, there {}",
            machine::long(apart),
            machine::date(self.ours),
            machine::date(theirs)
        );
        let finding =
            if apart < MUCH { Finding::warn(CHECK, value) } else { Finding::fail(CHECK, value) };
        finding.fix(machine::SET_CLOCK)
    }
}

fn apart(ours: SystemTime, theirs: SystemTime) -> (Duration, &'static str) {
    match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn only_what_a_certificate_turns_on_is_a_failure() {
        let now = SystemTime::now();
        let check = |seconds: u64| {
            let later = now + Duration::from_secs(seconds);
            [(now, later), (later, now)].map(|(ours, theirs)| {
                let finding = Reading::new(ours, Ok(theirs)).finding();
                (finding.status, finding.value)
            })
        };
        for (seconds, status) in [(10, Status::Ok), (3_600, Status::Warn), (172_800, Status::Fail)]
        {
            for (found, _) in check(seconds) {
                assert_eq!(found, status, "{seconds}");
            }
        }
        let [behind, ahead] = check(365 * 86_400);
        assert!(behind.1.starts_with("it is 365 days behind"), "{}", behind.1);
        assert!(ahead.1.starts_with("it is 365 days ahead of"), "{}", ahead.1);
    }
}
