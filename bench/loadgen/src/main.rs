//! The two ends of what `bench/run` measures: the service behind a tunnel, and the visitors before it.
//!
//! `loadgen serve` is the service. Every other command is a visitor, which measures one thing and prints it as
//! one line of JSON with flat numbers; what went wrong goes to stderr with a status above 0. What the two say to
//! each other is in [`wire`].

mod args;
mod churn;
mod datagrams;
mod hold;
mod output;
mod pingpong;
mod requests;
mod samples;
mod serve;
mod transfer;
mod verify;
mod wire;

use std::process::ExitCode;

use args::Args;

/// What a command comes back with; the text of an error is for a person.
type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "usage: loadgen COMMAND [--NAME VALUE]...
  serve     --tcp ADDRESS [--udp ADDRESS]            the service
  pingpong  --to ADDRESS [--seconds 3] [--size 64]   one kept connection, a message there and back
  churn     --to ADDRESS [--seconds 3] [--workers 32] connect, a byte there and back, close
  hold      --to ADDRESS [--count 1000]              open connections, until standard input ends
  stall     --to ADDRESS                             an endless download nobody reads, until standard input ends
  udp       --to ADDRESS [--rate 2000] [--seconds 2] [--size 256]
  download  --to ADDRESS [--seconds 5] [--warm-up 1]
  requests  --to ADDRESS [--seconds 5] [--connections 8] [--answer 1024] [--pause-ms 20] [--at-least 0]
  verify    --to ADDRESS [--mib 64] [--rest-ms 0] [--ending orderly|at-once]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let mut words = std::env::args().skip(1);
    let command = words.next().ok_or(USAGE)?;
    let args = Args::parse(words)?;
    // The blocking ones wake no other thread between a message and its answer.
    match command.as_str() {
        "pingpong" => return pingpong::run(&args),
        "verify" => return verify::run(&args),
        _ => {}
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match command.as_str() {
            "serve" => serve::run(&args).await,
            "churn" => churn::run(&args).await,
            "hold" => hold::run(&args).await,
            "stall" => hold::stall(&args).await,
            "udp" => datagrams::run(&args).await,
            "download" => transfer::run(&args).await,
            "requests" => requests::run(&args).await,
            _ => Err(USAGE.into()),
        }
    })
}
