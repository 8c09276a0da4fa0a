//! The demo's target: a small web server.
//!
//! `GET /` says hello, `GET /bytes/N` sends N bytes of a pattern, `PUT /` answers with the SHA-256 of
//! what it got.

use std::{convert::Infallible, io, net::SocketAddr};

use anyproxy_runtime::Scope;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

/// Bytes of the pattern that are sent at a time; the pattern repeats after them.
pub(super) const BLOCK: usize = 64 * 1024;

/// Serves on a port of its own until `scope` is cancelled.
pub(super) async fn start(scope: &Scope) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let addr = listener.local_addr()?;
    let connections = scope.clone();
    scope.spawn("demo target", async move {
        while let Ok((tcp, _)) = listener.accept().await {
            connections.spawn("demo target connection", async move {
                let service = service_fn(answer);
                let serving = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(tcp), service);
                if let Err(error) = serving.await {
                    tracing::debug!(%error, "demo target");
                }
            });
        }
    });
    Ok(addr)
}

type Answer = Response<Either<Full<Bytes>, Pattern>>;

async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let size = request.uri().path().strip_prefix("/bytes/").map(str::parse);
    Ok(match (request.method(), size) {
        (&Method::GET, Some(Ok(size))) => Response::new(Either::Right(Pattern::new(size))),
        (&Method::GET, None) => text(StatusCode::OK, "hello from behind the tunnel\n".into()),
        (&Method::PUT, None) => match digest(request.into_body()).await {
            Ok(digest) => text(StatusCode::OK, digest),
            Err(error) => text(StatusCode::BAD_REQUEST, error.to_string()),
        },
        _ => text(StatusCode::NOT_FOUND, "try GET /, GET /bytes/N or PUT /\n".into()),
    })
}

fn text(status: StatusCode, text: String) -> Answer {
    let mut response = Response::new(Either::Left(Full::from(text)));
    *response.status_mut() = status;
    response
}

async fn digest(mut body: Incoming) -> Result<String, hyper::Error> {
    let mut hash = Sha256::new();
    while let Some(frame) = body.frame().await {
        if let Some(bytes) = frame?.data_ref() {
            hash.update(bytes);
        }
    }
    Ok(hex(&hash.finalize()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One block of bytes in which a gap or a swap shows.
pub(super) fn block() -> Bytes {
    let byte = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    (0..BLOCK as u64).map(byte).collect()
}

/// A body of that many bytes, without holding them.
pub(super) struct Pattern {
    block: Bytes,
    left: u64,
}

impl Pattern {
    fn new(size: u64) -> Self {
        Self { block: block(), left: size }
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(BLOCK);
        self.left -= size as u64;
        std::task::Poll::Ready(Some(Ok(Frame::data(self.block.slice(..size)))))
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.left)
    }
}
