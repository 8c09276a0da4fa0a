//! The process itself, from `/proc` (proc(5)).
//!
//! Where there is no `/proc` these metrics are absent; nothing else depends on them.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    catalogue,
    page::{Number, Page},
};

/// Clock ticks of `/proc/self/stat` in a second: on every Linux that Rust runs on, whatever the kernel's own
/// clock is.
const TICKS: f64 = 100.0;

/// This process.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    started: SystemTime,
}

impl Default for Process {
    fn default() -> Self {
        Self { started: SystemTime::now() }
    }
}

impl Process {
    /// One that starts now.
    #[must_use]
    pub fn starts() -> Self {
        Self::default()
    }

    /// When it started, in seconds since 1970.
    #[must_use]
    pub fn started_at(&self) -> u64 {
        self.started.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// What it has used of the processors, user and system time, in seconds; `None` where there is no `/proc`.
    #[must_use]
    pub fn cpu_seconds(&self) -> Option<f64> {
        cpu()
    }

    /// Writes what the system tells. Reads a few small files, which do not block.
    pub fn write(&self, page: &mut Page) {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        // The directory that is read is open itself.
        let open = fs::read_dir("/proc/self/fd").map(|entries| entries.count().saturating_sub(1));
        let found = [
            (&catalogue::CPU, cpu().map(Number::Real)),
            (&catalogue::MEMORY, number(&status, "VmRSS:").map(|kib| (kib * 1024).into())),
            (&catalogue::OPEN_FDS, open.ok().map(Number::from)),
            (&catalogue::MAX_FDS, number(&limits, "Max open files").map(Number::Whole)),
            (&catalogue::THREADS, number(&status, "Threads:").map(Number::Whole)),
            (&catalogue::STARTED, Some(self.started_at().into())),
        ];
        for (family, value) in found {
            if let Some(value) = value {
                page.single(family, value);
            }
        }
    }
}

/// The first number behind `key` on its line.
fn number(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User and system time, in seconds.
fn cpu() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold anything, and ends with the last bracket.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields = rest.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let ticks = fields.sum::<Result<f64, _>>().ok()?;
    Some(ticks / TICKS)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn it_finds_itself() {
        let mut page = Page::new();
        Process::starts().write(&mut page);
        let text = page.into_text();
        for family in catalogue::PROCESS {
            let line = text.lines().find(|line| line.starts_with(&format!("{} ", family.name)));
            let value = line.and_then(|line| line.rsplit_once(' ')).unwrap().1;
            let value = value.parse::<f64>().unwrap();
            assert!(value > 0.0 || family.name == catalogue::CPU.name, "{text}");
        }
    }
}
