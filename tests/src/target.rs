//! Targets: small services behind the client.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use anyproxy_transport::net::{Conn, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{mpsc, watch},
};

use crate::{
    lab::Site,
    user::{read_all, read_head},
};

/// Serves every connection with `handler` until the runtime ends.
pub fn serve<F, H>(site: &Site, handler: H) -> SocketAddr
where
    H: Fn(Conn) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = site.target.listen(SocketAddr::new(site.target_ip, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((conn, _)) = listener.accept(Role::Proxied).await {
            tokio::spawn(handler(conn));
        }
    });
    addr
}

/// Sends back what it gets, then ends as it was ended.
pub fn echo(site: &Site) -> SocketAddr {
    serve(site, |conn| async move {
        let (mut read, mut write) = tokio::io::split(conn);
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    })
}

/// Reads everything up to the end, then answers with as many bytes of [`pattern`] as it got, and
/// ends: only a half-closed connection sees the answer.
pub fn answer_at_end(site: &Site) -> SocketAddr {
    serve(site, |mut conn| async move {
        let mut got = Vec::new();
        if conn.read_to_end(&mut got).await.is_ok() {
            let _ = conn.write_all(&pattern(got.len())).await;
            let _ = conn.shutdown().await;
        }
    })
}

/// Sends `size` bytes and closes at once.
pub fn burst(site: &Site, size: usize) -> SocketAddr {
    let bytes: Arc<[u8]> = pattern(size).into();
    serve(site, move |mut conn| {
        let bytes = bytes.clone();
        async move {
            let _ = conn.write_all(&bytes).await;
            let _ = conn.shutdown().await;
        }
    })
}

/// A switch that targets wait for.
#[derive(Debug)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Gate {
    /// Lets every target go on, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut gate = self.0.subscribe();
        async move {
            let _ = gate.wait_for(|open| *open).await;
        }
    }
}

/// Sends one byte, waits for `gate`, then sends the rest of `size` bytes and closes at once.
pub fn burst_behind(site: &Site, size: usize, gate: Arc<Gate>) -> SocketAddr {
    let bytes: Arc<[u8]> = pattern(size).into();
    serve(site, move |mut conn| {
        let (bytes, gate) = (bytes.clone(), gate.wait());
        async move {
            let _ = conn.write_all(&bytes[..1]).await;
            gate.await;
            let _ = conn.write_all(&bytes[1..]).await;
            let _ = conn.shutdown().await;
        }
    })
}

/// What a target saw of one connection: the bytes, and how they ended.
pub type Seen = (Vec<u8>, Result<(), io::ErrorKind>);

/// Sends `size` bytes, ends its own direction, and reports what comes then.
pub fn ends_first(site: &Site, size: usize) -> (SocketAddr, mpsc::Receiver<Seen>) {
    let (reports, seen) = mpsc::channel(64);
    let addr = serve(site, move |mut conn| {
        let reports = reports.clone();
        async move {
            let _ = conn.write_all(&pattern(size)).await;
            let _ = conn.shutdown().await;
            let _ = reports.send(read_all(&mut conn).await).await;
        }
    });
    (addr, seen)
}

/// Sends one byte and reports what comes then.
pub fn watcher(site: &Site) -> (SocketAddr, mpsc::Receiver<Seen>) {
    let (reports, seen) = mpsc::channel(64);
    let addr = serve(site, move |mut conn| {
        let reports = reports.clone();
        async move {
            let _ = conn.write_all(b"!").await;
            let _ = reports.send(read_all(&mut conn).await).await;
        }
    });
    (addr, seen)
}

/// A port at which nobody listens.
pub fn nobody(site: &Site) -> SocketAddr {
    let listener = site.target.listen(SocketAddr::new(site.target_ip, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// How an HTTP target frames its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection is the end of the body.
    Close,
}

/// All framings.
pub const FRAMINGS: [Framing; 3] = [Framing::Length, Framing::Chunked, Framing::Close];

/// Answers any request with a body of `size` bytes and closes.
pub fn http(site: &Site, framing: Framing, size: usize) -> SocketAddr {
    serve(site, move |mut conn| async move {
        if read_head(&mut conn).await.is_ok() {
            let body = pattern(size);
            let _ = conn.write_all(&http_part(framing, size, &body)).await;
            let end: &[u8] = if framing == Framing::Chunked { b"0\r\n\r\n" } else { b"" };
            let _ = conn.write_all(end).await;
            let _ = conn.shutdown().await;
        }
    })
}

/// Answers any request with half of a body of `size` bytes, waits for `gate`, then resets.
pub fn http_reset(site: &Site, framing: Framing, size: usize, gate: Arc<Gate>) -> SocketAddr {
    serve(site, move |mut conn| {
        let gate = gate.wait();
        async move {
            if read_head(&mut conn).await.is_ok() {
                let _ = conn.write_all(&http_part(framing, size, &pattern(size / 2))).await;
                gate.await;
                conn.abort();
            }
        }
    })
}

/// A head that announces `size` bytes and `part` of its body.
fn http_part(framing: Framing, size: usize, part: &[u8]) -> Vec<u8> {
    let mut answer = match framing {
        Framing::Length => format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"),
        Framing::Chunked => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
        Framing::Close => "HTTP/1.1 200 OK\r\n\r\n".into(),
    }
    .into_bytes();
    if framing == Framing::Chunked {
        for chunk in part.chunks(10_000) {
            answer.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            answer.extend(chunk);
            answer.extend(b"\r\n");
        }
    } else {
        answer.extend(part);
    }
    answer
}

/// Sends for ever.
pub fn endless(site: &Site) -> SocketAddr {
    serve(site, |mut conn| async move {
        let bytes = pattern(64 * 1024);
        while conn.write_all(&bytes).await.is_ok() {}
    })
}

/// Sends `size` bytes, then resets.
pub fn reset_after(site: &Site, size: usize) -> SocketAddr {
    serve(site, move |mut conn| async move {
        let _ = conn.write_all(&pattern(size)).await;
        // Until the other side says so, lest the reset overtakes the bytes in the kernel.
        let _ = conn.read_u8().await;
        conn.abort();
    })
}

/// Bytes in which a gap, a swap or a repetition shows.
#[must_use]
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}
