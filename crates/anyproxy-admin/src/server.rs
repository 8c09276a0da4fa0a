//! The HTTP server.
//!
//! A connection carries one request and has ten seconds for all of it, so nothing has to be said of
//! slow heads, bodies that nobody reads, or readers that rest. There are few connections; of those who say nothing
//! the oldest gives way to who comes.

use std::{
    convert::Infallible,
    future::Future,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyproxy_runtime::{Deadline, Scope};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    page::Page,
    places::{Place, Places},
    status::Status,
};

/// Connections at once.
const MOST: usize = 16;
/// For a whole connection.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 8 * 1024;
/// The most fields that it may have.
const MOST_FIELDS: usize = 64;
/// The pause after an accept that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What is served at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Numbers only.
    Figures,
    /// The status too, which names clients, addresses and targets.
    Everything,
}

/// Whether a process can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It cannot, for this reason.
    NotReady(String),
}

/// Who is asked: a gateway or a client. Nothing of it may wait.
pub trait Subject: Send + Sync + 'static {
    /// Whether it can serve.
    fn readiness(&self) -> Readiness;

    /// Writes all metrics.
    fn metrics(&self, page: &mut Page);

    /// Everything that a person may want to know.
    fn status(&self) -> Status;
}

/// Where those who ask come in.
pub trait Door: Send + Sync + 'static {
    /// A connection.
    type Conn: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next one. Cancel safe.
    ///
    /// # Errors
    /// What the system answered; another try may succeed.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Conn>> + Send;
}

/// Serves until `scope` is cancelled; connections run there too. While the process drains it goes on, so that
/// whoever asks is told.
pub async fn serve<D: Door>(door: D, subject: Arc<dyn Subject>, offer: Offer, scope: Scope) {
    let places = Places::new(MOST);
    loop {
        match door.accept().await {
            Ok(conn) => {
                let Some(place) = places.take().await else { return };
                let subject = Arc::clone(&subject);
                scope.spawn("admin connection", attend(conn, subject, offer, place));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection to the admin address");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn attend<C: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    conn: C,
    subject: Arc<dyn Subject>,
    offer: Offer,
    mut place: Place,
) {
    let asked = place.asked();
    let service = service_fn(|request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let response = answer(&*subject, offer, &request);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let serving = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(LONGEST_HEAD)
        .max_headers(MOST_FIELDS)
        .serve_connection(TokioIo::new(conn), service);
    let served = tokio::select! {
        served = Deadline::after(WITHIN).bound(serving) => served,
        () = place.wanted() => {
            tracing::debug!("a connection to the admin address gave way to another");
            return;
        }
    };
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the admin address broke"),
        Err(_) => tracing::debug!("a connection to the admin address was too slow"),
    }
}

fn answer<B>(subject: &dyn Subject, offer: Offer, request: &Request<B>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let allow = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allow);
        return response;
    }
    match (path, offer) {
        ("/metrics", _) => {
            let mut page = Page::new();
            subject.metrics(&mut page);
            typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page.into_text())
        }
        ("/healthz", _) => text(StatusCode::OK, "ok\n"),
        ("/readyz", _) => match subject.readiness() {
            Readiness::Ready => text(StatusCode::OK, "ready\n"),
            Readiness::NotReady(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        ("/status", Offer::Everything) => match serde_json::to_string(&subject.status()) {
            Ok(status) => typed(StatusCode::OK, "application/json", status),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz and /readyz\n"),
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body.into())
}

fn typed(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
