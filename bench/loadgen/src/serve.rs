//! The service: TCP connections do what they ask for, datagrams come back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::args::Args;
use crate::wire::{self, OPENING, Operation, REQUEST};
use crate::{Outcome, output};

const CHUNK: usize = 128 * 1024;

pub async fn run(args: &Args) -> Outcome {
    let address: SocketAddr = args.required("tcp")?;
    if let Some(datagrams) = args.optional::<SocketAddr>("udp")? {
        let socket = UdpSocket::bind(datagrams).await?;
        tokio::spawn(async move { reflect(&socket).await });
    }
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(8192)?;
    output::print(&[("ready", Some(1.0))])?;
    let block = Arc::new(endless_block());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let block = Arc::clone(&block);
                // A visitor that goes away early is its own business.
                tokio::spawn(async move { connection(stream, &block).await });
            }
            // Out of descriptors, most likely: the visitors count what failed.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

/// What an endless download repeats; its bytes are not checked, so they are made once.
fn endless_block() -> Vec<u8> {
    let mut block = vec![0; CHUNK];
    wire::pattern(0, &mut block);
    block
}

async fn connection(mut stream: TcpStream, block: &[u8]) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut opening = [0; OPENING];
    stream.read_exact(&mut opening).await?;
    match Operation::parse(opening) {
        Some((Operation::Echo, _)) => echo(stream).await,
        Some((Operation::Source, wire::ENDLESS)) => loop {
            stream.write_all(block).await?;
        },
        Some((Operation::Source, length)) => {
            source(&mut stream, length).await?;
            stream.shutdown().await?;
            stream.read(&mut opening).await.map(drop)
        }
        Some((Operation::SourceThenGone, length)) => source(&mut stream, length).await,
        Some((Operation::Answer, _)) => answer(stream, block).await,
        None => Ok(()),
    }
}

/// One buffer that grows only when a connection has much to say: 10,000 resting ones are cheap.
async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 512];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
        if count == buffer.len() && count < CHUNK {
            buffer.resize(CHUNK, 0);
        }
    }
}

async fn source(stream: &mut TcpStream, length: u64) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < length {
        let now = (length - offset).min(CHUNK as u64) as usize;
        wire::pattern(offset, &mut chunk[..now]);
        stream.write_all(&chunk[..now]).await?;
        offset += now as u64;
    }
    Ok(())
}

async fn answer(mut stream: TcpStream, block: &[u8]) -> std::io::Result<()> {
    let mut request = [0; REQUEST];
    loop {
        stream.read_exact(&mut request).await?;
        let mut length = [0; 8];
        length.copy_from_slice(&request[..8]);
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(CHUNK).min(CHUNK);
        stream.write_all(&block[..length]).await?;
    }
}

async fn reflect(socket: &UdpSocket) {
    let mut datagram = vec![0; 65536];
    loop {
        // An error here is one that a datagram before caused; the next one is received all the same.
        if let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            let _ = socket.send_to(&datagram[..length], from).await;
        }
    }
}
