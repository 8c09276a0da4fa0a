//! What a process holds: descriptors, tasks, memory. After a fault they have to be back where they were.

use std::{fs, time::Duration};

use anyproxy_runtime::Deadline;

/// How long it may take until what was held is given back.
const PATIENCE: Duration = Duration::from_secs(60);

/// What this process holds at a moment. It counts everything in it, so tests that look at it must not run
/// beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Open descriptors.
    pub descriptors: usize,
    /// Tasks of this runtime that are alive.
    pub tasks: usize,
    /// Resident memory, in bytes.
    pub memory: u64,
}

impl Footprint {
    /// What is held now.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    #[must_use]
    pub fn now() -> Self {
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            memory: resident(),
        }
    }

    /// Waits until no more descriptors and tasks are held than then.
    ///
    /// # Panics
    /// When they are not given back, or when memory has grown by more than `growth` bytes.
    pub async fn is_back(&self, growth: u64) {
        let back = async {
            loop {
                let now = Self::now();
                if now.descriptors <= self.descriptors && now.tasks <= self.tasks {
                    return now;
                }
                // Real sockets have no event for "all is closed".
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        match Deadline::after(PATIENCE).bound(back).await {
            Ok(now) => {
                assert!(now.memory <= self.memory + growth, "before: {self:?}, now: {now:?}")
            }
            Err(_) => panic!("before: {self:?}, now: {:?}", Self::now()),
        }
    }
}

/// `VmRSS` in `/proc/self/status` (proc_pid_status(5)).
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}
