//! Connections that are open and rest, and one that is stalled, for as long as standard input lasts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::args::Args;
use crate::wire::{ENDLESS, OPENING, Operation};
use crate::{Outcome, output};

/// How many are being opened at a time: more would measure the listener's queue.
const OPENING_AT_A_TIME: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);

pub async fn run(args: &Args) -> Outcome {
    let to = args.to()?;
    let gate = Arc::new(Semaphore::new(OPENING_AT_A_TIME));
    let opening: Vec<_> =
        (0..args.or("count", 1000)?).map(|_| tokio::spawn(open(to, Arc::clone(&gate)))).collect();
    let mut held = Vec::new();
    let mut failed = 0;
    for task in opening {
        match task.await? {
            Ok(stream) => held.push(stream),
            Err(_) => failed += 1,
        }
    }
    output::print(&[("open", Some(held.len() as f64)), ("failed", Some(f64::from(failed)))])?;
    wait_for_end().await;
    Ok(())
}

async fn open(to: SocketAddr, gate: Arc<Semaphore>) -> std::io::Result<TcpStream> {
    let _turn = gate.acquire().await.map_err(std::io::Error::other)?;
    let attempt = async {
        let mut stream = TcpStream::connect(to).await?;
        let mut message = [0; OPENING + 1];
        message[..OPENING].copy_from_slice(&Operation::Echo.opening(0));
        stream.write_all(&message).await?;
        stream.read_exact(&mut message[..1]).await?;
        Ok(stream)
    };
    timeout(PATIENCE, attempt).await?
}

/// Its receive buffer is small, so that what the tunnel holds is not hidden in this end's kernel.
pub async fn stall(args: &Args) -> Outcome {
    let to = args.to()?;
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(64 * 1024)?;
    let mut stream = timeout(PATIENCE, socket.connect(to)).await??;
    stream.write_all(&Operation::Source.opening(ENDLESS)).await?;
    let mut first = [0; 1024];
    timeout(PATIENCE, stream.read_exact(&mut first)).await??;
    output::print(&[("open", Some(1.0))])?;
    wait_for_end().await;
    Ok(())
}

async fn wait_for_end() {
    let mut rest = [0; 64];
    let mut stdin = tokio::io::stdin();
    while stdin.read(&mut rest).await.is_ok_and(|count| count > 0) {}
}
