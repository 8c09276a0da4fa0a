//! A link between two interfaces, for kernels without netem: what comes in at one goes out at the other, after
//! a bounded queue, at a rate, with losses and a delay. Both ways are alike and independent.
//!
//! ```text
//! frame in ── queue (drop-tail) ── rate ── random loss ── delay ── frame out
//! ```
//!
//! Standard input and standard output are two packet sockets, each bound to an interface: `bench/run` opens
//! them, so that no line here has to deal with raw addresses. Each frame must be one packet of the wire, so
//! offloads are off at all four ends.
//!
//! Twice a second a line of JSON with the counts so far goes to standard error. The program ends when it is
//! killed.

mod counts;
mod shape;
mod way;

use std::fs::File;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use shape::Shape;
use way::Way;

const USAGE: &str =
    "usage: link --delay-ms 20 --loss-pct 1 --rate-mbit 100 --queue-kb 500 [--seed 1]
standard input and output are packet sockets; numbers are for each way";
const REPORT_EVERY: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("link: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let shape =
        Shape::parse(std::env::args().skip(1)).map_err(|error| format!("{error}\n{USAGE}"))?;
    let left = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let right = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let forth = Way::start(left.try_clone()?, right.try_clone()?, shape, 1)?;
    let back = Way::start(right, left, shape, 2)?;
    loop {
        std::thread::sleep(REPORT_EVERY);
        eprintln!("{{\"forth\":{},\"back\":{}}}", forth.json(), back.json());
    }
}
