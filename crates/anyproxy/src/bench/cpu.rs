//! Processor time: of this process, and of the gateways and clients of this machine that answer at their status sockets.

use std::{collections::BTreeSet, time::Duration};

use crate::status;

/// Whose time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of this process, in which are user, gateway, client and target.
    Ours,
    /// Also of gateways and clients that run here.
    Everybodys,
}

/// What was used up to a moment.
pub(super) struct Clock {
    whose: Whose,
    ours: Option<Duration>,
    others: Vec<Other>,
}

struct Other {
    pid: u32,
    role: String,
    used: Duration,
}

/// What was used since.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Used {
    pub(super) time: Option<Duration>,
    /// `bench`, `client`, `gateway`, where these are processes of their own.
    pub(super) of: BTreeSet<String>,
}

impl Clock {
    pub(super) async fn read(whose: Whose) -> Self {
        let others = match whose {
            Whose::Ours => vec![],
            Whose::Everybodys => others().await,
        };
        Self { whose, ours: ours(), others }
    }

    /// What was used since then. A process that came or went meanwhile does not count.
    pub(super) async fn since(&self) -> Used {
        let now = Self::read(self.whose).await;
        self.until(&now)
    }

    fn until(&self, now: &Self) -> Used {
        let Some((before, after)) = self.ours.zip(now.ours) else { return Used::default() };
        let mut used = Used { time: None, of: BTreeSet::new() };
        let mut time = after.saturating_sub(before);
        if self.whose == Whose::Everybodys {
            used.of.insert("bench".into());
        }
        for other in &self.others {
            if let Some(later) = now.others.iter().find(|later| later.pid == other.pid) {
                time = time.saturating_add(later.used.saturating_sub(other.used));
                used.of.insert(other.role.clone());
            }
        }
        used.time = Some(time);
        used
    }
}

async fn others() -> Vec<Other> {
    let answered = status::all_here().await.into_iter();
    let other = |status: anyproxy_admin::Status| {
        let used = Duration::try_from_secs_f64(status.cpu_seconds?).ok()?;
        Some(Other { pid: status.pid, role: status.role, used })
    };
    answered.filter_map(other).collect()
}

/// What this process has used of the processors, if the system tells.
#[cfg(unix)]
fn ours() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(unix))]
fn ours() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, others: &[(u32, &str, u64)]) -> Clock {
        let other = |&(pid, role, used): &(u32, &str, u64)| Other {
            pid,
            role: role.into(),
            used: Duration::from_secs(used),
        };
        Clock {
            whose: Whose::Everybodys,
            ours: Some(Duration::from_secs(seconds)),
            others: others.iter().map(other).collect(),
        }
    }

    #[test]
    fn only_what_was_there_all_the_time_counts() {
        let before = at(1, &[(1, "gateway", 100), (2, "client", 50), (3, "client", 9)]);
        let after = at(3, &[(1, "gateway", 104), (2, "client", 51), (4, "gateway", 7)]);
        let used = before.until(&after);
        assert_eq!(used.time, Some(Duration::from_secs(2 + 4 + 1)));
        assert!(used.of.iter().eq(["bench", "client", "gateway"]), "{used:?}");
    }
}
