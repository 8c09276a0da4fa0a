//! `anyproxy`: reach private services through a public gateway.
//!
//! Memory comes from jemalloc, for what it gives back: a gateway that had 10,000 connections holds what they took, for
//! good, with glibc's allocator (417 MiB of 417 MiB, both ends), and with this one is back near where it was in seconds
//! (53 MiB). Its settings are in `.cargo/config.toml`; the figures in `docs/performance.md`.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyproxy::{cli::Cli, run};
use clap::Parser as _;

#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // If nobody reads standard error, the exit code still tells.
            let _unread = writeln!(io::stderr(), "{}", failure.message());
            ExitCode::from(failure.exit_code())
        }
    }
}
