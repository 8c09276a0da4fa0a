//! What one endless download brings a second once it has warmed up.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::args::Args;
use crate::wire::{ENDLESS, Operation};
use crate::{Outcome, output};

const PATIENCE: Duration = Duration::from_secs(20);

pub async fn run(args: &Args) -> Outcome {
    let mut stream = timeout(PATIENCE, TcpStream::connect(args.to()?)).await??;
    stream.write_all(&Operation::Source.opening(ENDLESS)).await?;
    let mut buffer = vec![0; 256 * 1024];
    timeout(PATIENCE, stream.read(&mut buffer)).await??;
    let warm = Instant::now() + args.seconds("warm-up", 1.0)?;
    read_until(&mut stream, &mut buffer, warm).await?;
    let start = Instant::now();
    let bytes = read_until(&mut stream, &mut buffer, start + args.seconds("seconds", 5.0)?).await?;
    let seconds = start.elapsed().as_secs_f64();
    output::print(&[
        ("bytes", Some(bytes as f64)),
        ("mbit_s", Some(bytes as f64 * 8e-6 / seconds)),
    ])?;
    Ok(())
}

/// An endless download that ends has failed, even if it was fast before.
async fn read_until(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    end: Instant,
) -> Result<u64, std::io::Error> {
    let mut bytes = 0;
    loop {
        match timeout_at(end, stream.read(buffer)).await {
            Err(_) => return Ok(bytes),
            Ok(Ok(0)) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => bytes += read? as u64,
        }
        // A socket that always has something never lets the timer look.
        if Instant::now() >= end {
            return Ok(bytes);
        }
    }
}
