//! How long small requests on kept connections wait for the first byte of their answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::args::Args;
use crate::samples::Samples;
use crate::wire::{Operation, REQUEST};
use crate::{Outcome, output};

const PATIENCE: Duration = Duration::from_secs(10);
/// `--at-least` prolongs a measurement no further than this.
const LONGEST: Duration = Duration::from_secs(120);

#[derive(Clone)]
struct Plan {
    to: SocketAddr,
    answer: usize,
    pause: Duration,
    end: Instant,
    at_least: u64,
    answered: Arc<AtomicU64>,
}

#[derive(Default)]
struct Seen {
    first: Samples,
    later: Samples,
    failed: u32,
}

pub async fn run(args: &Args) -> Outcome {
    let plan = Plan {
        to: args.to()?,
        answer: args.or("answer", 1024)?,
        pause: Duration::from_millis(args.or("pause-ms", 20)?),
        end: Instant::now() + args.seconds("seconds", 5.0)?,
        at_least: args.or("at-least", 0)?,
        answered: Arc::new(AtomicU64::new(0)),
    };
    let connections: Vec<_> =
        (0..args.or("connections", 8)?).map(|_| tokio::spawn(connection(plan.clone()))).collect();
    let mut all = Seen::default();
    for connection in connections {
        let seen = connection.await?;
        all.first.extend(seen.first);
        all.later.extend(seen.later);
        all.failed += seen.failed;
    }
    output::print(&[
        ("samples", Some(all.later.len() as f64)),
        ("p50_ms", all.later.millis(0.5)),
        ("p99_ms", all.later.millis(0.99)),
        ("first_p50_ms", all.first.millis(0.5)),
        ("failed", Some(f64::from(all.failed))),
    ])?;
    Ok(())
}

/// The first request of each connection is kept apart: it also waits for the connection to be set up.
async fn connection(plan: Plan) -> Seen {
    let mut seen = Seen::default();
    let latest = plan.end + LONGEST;
    while wanted(&plan) && Instant::now() < latest {
        if converse(&plan, &mut seen, latest).await.is_err() {
            seen.failed += 1;
            tokio::time::sleep(plan.pause.max(Duration::from_millis(100))).await;
        }
    }
    seen
}

fn wanted(plan: &Plan) -> bool {
    Instant::now() < plan.end || plan.answered.load(Ordering::Relaxed) < plan.at_least
}

async fn converse(plan: &Plan, seen: &mut Seen, latest: Instant) -> std::io::Result<()> {
    let start = Instant::now();
    let mut stream = timeout(PATIENCE, TcpStream::connect(plan.to)).await??;
    stream.set_nodelay(true)?;
    stream.write_all(&Operation::Answer.opening(0)).await?;
    timeout(PATIENCE, ask(&mut stream, plan.answer)).await??;
    seen.first.push(start.elapsed());
    while wanted(plan) && Instant::now() < latest {
        tokio::time::sleep(plan.pause).await;
        let time = timeout(PATIENCE, ask(&mut stream, plan.answer)).await??;
        seen.later.push(time);
        plan.answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

async fn ask(stream: &mut TcpStream, answer: usize) -> std::io::Result<Duration> {
    let start = Instant::now();
    let mut request = [0; REQUEST];
    request[..8].copy_from_slice(&(answer as u64).to_le_bytes());
    stream.write_all(&request).await?;
    let mut buffer = vec![0; answer.max(1)];
    stream.read_exact(&mut buffer[..1]).await?;
    let first = start.elapsed();
    stream.read_exact(&mut buffer[1..]).await?;
    Ok(first)
}
