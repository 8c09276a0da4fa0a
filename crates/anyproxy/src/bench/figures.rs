//! What was measured, for people and for programs.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use serde::Serialize;

use super::cpu::Used;

const MIB: f64 = 1024.0 * 1024.0;
const GIB: f64 = 1024.0 * MIB;
/// The fewest bytes of which processor time for each GiB is told.
const ENOUGH: u64 = 1 << 20;

/// Times of small exchanges, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl Latency {
    /// By the nearest rank: the least time that so many of a hundred did not exceed.
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let rank = |percent: usize| {
            let rank = times.len().saturating_mul(percent).div_ceil(100);
            let time = times.get(rank.saturating_sub(1)).copied().unwrap_or_default();
            time.as_secs_f64() * 1e3
        };
        Self { p50: rank(50), p90: rank(90), p99: rank(99), max: rank(100) }
    }
}

/// The figures of one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    /// The transport, or where it went.
    pub(super) name: String,
    /// MiB per second towards the user.
    pub(super) down: f64,
    /// MiB per second towards the target.
    pub(super) up: f64,
    pub(super) latency_ms: Latency,
    /// Connections per second, each with one small exchange.
    pub(super) connections: f64,
    /// Seconds of processor time for each GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_per_gib: Option<f64>,
    /// Of which processes; empty: of all that take part, which are one.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) cpu_of: BTreeSet<String>,
}

impl Row {
    pub(super) fn new(
        name: String,
        (size, down, up): (u64, Duration, Duration),
        latency_ms: Latency,
        (connections, took): (u32, Duration),
    ) -> Self {
        let rate = |took: Duration| size as f64 / MIB / took.as_secs_f64().max(1e-9);
        Self {
            name,
            down: rate(down),
            up: rate(up),
            latency_ms,
            connections: f64::from(connections) / took.as_secs_f64().max(1e-9),
            cpu_per_gib: None,
            cpu_of: BTreeSet::new(),
        }
    }

    /// With less than [`ENOUGH`] it would be the time of everything else.
    pub(super) fn with_cpu(mut self, used: Used, moved: u64) -> Self {
        if let Some(time) = used.time.filter(|_| moved >= ENOUGH) {
            self.cpu_per_gib = Some(time.as_secs_f64() / (moved as f64 / GIB));
            self.cpu_of = used.of;
        }
        self
    }
}

/// All figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    version: u32,
    pub(super) rows: Vec<Row>,
}

impl Default for Report {
    fn default() -> Self {
        Self { version: 1, rows: vec![] }
    }
}

impl Report {
    /// One JSON object and a line end.
    pub(super) fn json(&self) -> String {
        // Texts and numbers always become JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A table.
    pub(super) fn text(&self) -> String {
        let mut text = String::from(
            "                       MiB/s         small exchange, ms              connections  CPU s\n\
             way                 down     up     p50     p90     p99     max     per second  per GiB\n",
        );
        for row in &self.rows {
            let Row { name, down, up, latency_ms: ms, connections, cpu_per_gib, .. } = row;
            let cpu = cpu_per_gib.map_or_else(|| "-".into(), |cpu| format!("{cpu:.2}"));
            // Writing to a string cannot fail.
            let _always = writeln!(
                text,
                "{name:<16} {down:>7.0} {up:>6.0} {:>7.2} {:>7.2} {:>7.2} {:>7.2} {connections:>14.0} {cpu:>8}",
                ms.p50, ms.p90, ms.p99, ms.max
            );
        }
        let of: BTreeSet<_> =
            self.rows.iter().flat_map(|row| &row.cpu_of).map(String::as_str).collect();
        if !of.is_empty() {
            let of = of.into_iter().collect::<Vec<_>>().join(", ");
            let _always = writeln!(text, "CPU s per GiB: of these on this machine: {of}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = |last: u64| (1..=last).rev().map(Duration::from_millis).collect();
        let hundred = Latency { p50: 50.0, p90: 90.0, p99: 99.0, max: 100.0 };
        assert_eq!(Latency::of(times(100)), hundred);
        assert_eq!(Latency::of(times(1)), Latency { p50: 1.0, p90: 1.0, p99: 1.0, max: 1.0 });
    }

    #[test]
    fn rates_are_per_second() {
        let second = Duration::from_secs(1);
        let latency = Latency::of(vec![second]);
        let row = Row::new("quic".into(), (8 << 20, second, 2 * second), latency, (50, 2 * second));
        assert_eq!((row.down, row.up, row.connections), (8.0, 4.0, 25.0));
        let used = |of: &[&str]| Used {
            time: Some(second),
            of: of.iter().map(|&name| name.to_owned()).collect(),
        };
        assert_eq!(row.clone().with_cpu(used(&[]), ENOUGH - 1).cpu_per_gib, None);
        let row = row.with_cpu(used(&["bench", "gateway"]), 1 << 29);
        assert_eq!(row.cpu_per_gib, Some(2.0));
        let text = Report { rows: vec![row], ..Report::default() }.text();
        assert!(text.ends_with("on this machine: bench, gateway\n"), "{text}");
    }
}
