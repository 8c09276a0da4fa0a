//! Flags of `anyproxy bench`.

use std::net::SocketAddr;

use clap::Args;

use super::with_fix;
use crate::{
    config::Problem,
    values::{HostPort, listen, size},
};

/// Flags of `anyproxy bench`.
///
/// Without `--serve` and `--connect` it measures a gateway and clients of its own, in one process.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Be the target of a measurement: beside a client, which forwards a port to this address
    #[arg(long, value_name = "IP:PORT", value_parser = with_fix(listen), conflicts_with = "connect")]
    pub serve: Option<SocketAddr>,
    /// Measure through a live tunnel: the gateway's port that is forwarded to the --serve of another
    /// `anyproxy bench`
    #[arg(long, value_name = "HOST:PORT", value_parser = with_fix(str::parse::<HostPort>))]
    pub connect: Option<HostPort>,
    /// How much to move in each direction, at least 64KiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = with_fix(enough))]
    pub size: u64,
    /// How many small exchanges to time, one after the other
    #[arg(
        long, value_name = "NUMBER", default_value = "1000",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub exchanges: u32,
    /// How many connections to make, eight at a time
    #[arg(
        long, value_name = "NUMBER", default_value = "500",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub connections: u32,
    /// Print JSON (see docs/bench.md)
    #[arg(long)]
    pub json: bool,
}

/// The least of which a rate means anything.
const LEAST: u64 = 64 << 10;

fn enough(text: &str) -> Result<u64, Problem> {
    size(text).and_then(|size| {
        let too_little = || Problem::Refused {
            what: format!("`{text}` is too little to measure"),
            fix: "give at least 64KiB; figures are steady from about 64MiB on".into(),
        };
        if size >= LEAST { Ok(size) } else { Err(too_little()) }
    })
}
