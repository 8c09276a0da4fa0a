//! `anyproxy`: reach private services through a public gateway.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyproxy::{cli::Cli, run};
use clap::Parser as _;

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
