//! One transfer over QUIC or TLS, timed from the end of the handshake until the
//! receiver has read the end of the stream.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::clock::Stopwatch;
use crate::{Cell, HOST, Result, Transport};

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Size of each write and of each read buffer, in bytes.
const CHUNK: usize = 64 * 1024;

/// Writes `bytes` bytes to the stream and ends it. Gives the stream back: a TCP
/// socket dropped with session tickets unread would reset the connection under
/// the receiver.
async fn send_all<S: AsyncWriteExt + Unpin>(mut stream: S, bytes: u64) -> Result<S> {
    let chunk = vec![0x5a; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(CHUNK as u64) as usize;
        stream.write_all(&chunk[..n]).await?;
        left -= n as u64;
    }
    stream.shutdown().await?;
    Ok(stream)
}

/// Reads the stream to its end; fails unless exactly `bytes` bytes arrived.
async fn receive_all(mut stream: impl AsyncReadExt + Unpin, bytes: u64) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut got = 0;
    loop {
        match stream.read(&mut buffer).await? {
            0 if got == bytes => return Ok(()),
            0 => return Err(format!("received {got} of {bytes} bytes").into()),
            n => got += n as u64,
        }
    }
}

/// Sends and receives in two tasks; wall-clock and CPU seconds until both end.
async fn transfer<S, R>(
    outgoing: S,
    incoming: impl Future<Output = Result<R>> + Send + 'static,
    bytes: u64,
) -> Result<(f64, f64)>
where
    S: AsyncWriteExt + Unpin + Send + 'static,
    R: AsyncReadExt + Unpin + Send + 'static,
{
    let (mut sending, mut receiving) = (JoinSet::new(), JoinSet::new());
    let watch = Stopwatch::start()?;
    sending.spawn(send_all(outgoing, bytes));
    receiving.spawn(async move { receive_all(incoming.await?, bytes).await });
    let _open_until_received = tokio::try_join!(join(&mut sending), join(&mut receiving))?;
    watch.stop()
}

/// The result of the only task of `tasks`.
async fn join<T: 'static>(tasks: &mut JoinSet<Result<T>>) -> Result<T> {
    tasks.join_next().await.ok_or("no task")??
}

/// One transfer over QUIC; wall-clock and CPU seconds.
async fn run_quic(cell: &Cell, bytes: u64) -> Result<(f64, f64)> {
    let server_crypto = QuicServerConfig::with_initial(cell.server.clone(), cell.initial)?;
    let client_crypto = QuicClientConfig::with_initial(cell.client.clone(), cell.initial)?;
    let server_config = quinn::ServerConfig::with_crypto(Arc::new(server_crypto));
    let server = quinn::Endpoint::server(server_config, LOOPBACK)?;
    let client = quinn::Endpoint::client(LOOPBACK)?;
    let client_config = quinn::ClientConfig::new(Arc::new(client_crypto));
    let connecting = client.connect_with(client_config, server.local_addr()?, HOST)?;
    let accepting = async { Ok(server.accept().await.ok_or("endpoint closed")?.await?) };
    let (outgoing, incoming): (quinn::Connection, quinn::Connection) =
        tokio::try_join!(async { Result::Ok(connecting.await?) }, accepting)?;

    let stream = outgoing.open_uni().await?;
    let arriving = incoming.clone();
    let times = transfer(stream, async move { Ok(arriving.accept_uni().await?) }, bytes).await?;

    client.close(0u32.into(), b"");
    tokio::join!(client.wait_idle(), server.wait_idle());
    Ok(times)
}

/// One transfer over TLS 1.3 on TCP; wall-clock and CPU seconds.
async fn run_tls(cell: &Cell, bytes: u64) -> Result<(f64, f64)> {
    let listener = TcpListener::bind(LOOPBACK).await?;
    let dialing = TcpStream::connect(listener.local_addr()?);
    let (dialed, (accepted, _)) = tokio::try_join!(dialing, listener.accept())?;
    let connecting =
        TlsConnector::from(cell.client.clone()).connect(ServerName::try_from(HOST)?, dialed);
    let accepting = TlsAcceptor::from(cell.server.clone()).accept(accepted);
    let (outgoing, incoming) = tokio::try_join!(connecting, accepting)?;

    transfer(outgoing, async { Ok(incoming) }, bytes).await
}

/// One transfer of `bytes` bytes over the cell's transport, handshake and
/// teardown excluded; wall-clock and CPU seconds.
pub async fn run(cell: &Cell, bytes: u64) -> Result<(f64, f64)> {
    match cell.transport {
        Transport::Quic => run_quic(cell, bytes).await,
        Transport::Tls => run_tls(cell, bytes).await,
    }
}
