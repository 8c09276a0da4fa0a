//! What the demo shows: progress on a terminal, then one table.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::Duration,
};

use anyproxy_transport::Transport;
use indicatif::{ProgressBar, ProgressStyle};

use super::user::{Transfer, Way};

const MIB: f64 = 1024.0 * 1024.0;

/// The outcome of one ingress over one transport.
pub(super) struct Row {
    pub(super) transport: Transport,
    pub(super) way: Way,
    /// Bytes that should have moved, down and up together.
    pub(super) bytes: u64,
    pub(super) took: Duration,
    pub(super) result: Result<(), String>,
}

/// All outcomes.
#[derive(Default)]
pub(super) struct Table(Vec<Row>);

impl Table {
    pub(super) fn add(&mut self, row: Row) {
        self.0.push(row);
    }

    pub(super) fn failed(&self) -> usize {
        self.0.iter().filter(|row| row.result.is_err()).count()
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::from("transport  ingress         MiB    MiB/s  result\n");
        for row in &self.0 {
            let mib = row.bytes as f64 / MIB;
            let rate = mib / row.took.as_secs_f64();
            let result = match &row.result {
                Ok(()) => "ok, SHA-256 equal",
                Err(error) => error,
            };
            // Writing to a string cannot fail.
            let _always = writeln!(
                text,
                "{:<9}  {:<12} {mib:>6.0} {rate:>8.0}  {result}",
                row.transport.to_string(),
                row.way.to_string(),
            );
        }
        text
    }
}

/// A bar on a terminal; nothing where standard error goes elsewhere.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(transfers: usize, each: u64) -> Self {
        let total = u64::try_from(transfers).unwrap_or(u64::MAX).saturating_mul(each);
        let bar = ProgressBar::new(total);
        let style = ProgressStyle::with_template("{msg:<28} [{wide_bar}] {bytes}/{total_bytes}");
        Self(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    pub(super) fn begin(&self, transport: Transport, way: Way, transfer: Transfer) {
        self.0.set_message(format!("{transport} {way} {transfer}"));
    }

    pub(super) fn moved(&self, bytes: usize) {
        self.0.inc(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
