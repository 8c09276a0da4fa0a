//! How many connections a second can be opened, used for one byte and closed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::args::Args;
use crate::samples::Samples;
use crate::wire::{OPENING, Operation};
use crate::{Outcome, output};

const PATIENCE: Duration = Duration::from_secs(5);

pub async fn run(args: &Args) -> Outcome {
    let to = args.to()?;
    let length = args.seconds("seconds", 3.0)?;
    let start = Instant::now();
    let workers: Vec<_> =
        (0..args.or("workers", 32)?).map(|_| tokio::spawn(worker(to, start + length))).collect();
    let mut samples = Samples::default();
    let mut failed = 0;
    for worker in workers {
        let (times, failures) = worker.await?;
        samples.extend(times);
        failed += failures;
    }
    let elapsed = start.elapsed().as_secs_f64();
    output::print(&[
        ("per_second", Some(samples.len() as f64 / elapsed)),
        ("p50_ms", samples.millis(0.5)),
        ("p99_ms", samples.millis(0.99)),
        ("failed", Some(f64::from(failed))),
    ])?;
    Ok(())
}

async fn worker(to: SocketAddr, end: Instant) -> (Samples, u32) {
    let mut samples = Samples::default();
    let mut failed = 0;
    while Instant::now() < end {
        let start = Instant::now();
        match timeout(PATIENCE, once(to)).await {
            Ok(Ok(())) => samples.push(start.elapsed()),
            _ => failed += 1,
        }
    }
    (samples, failed)
}

async fn once(to: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut message = [0; OPENING + 1];
    message[..OPENING].copy_from_slice(&Operation::Echo.opening(0));
    stream.write_all(&message).await?;
    stream.read_exact(&mut message[..1]).await.map(drop)
}
