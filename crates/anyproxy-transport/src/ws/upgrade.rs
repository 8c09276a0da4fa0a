//! From a TLS connection to a WebSocket (RFC 6455, 4).
//!
//! The gateway's side is a small HTTP server on hyper, so that a stranger with a browser, a scanner
//! or a health check gets a well-formed 404, and nothing that tells what runs here.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http::{Method, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::mpsc;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, handshake::derive_accept_key, protocol::Role},
};

use super::{SUBPROTOCOL, Socket, Wire, broken, config, stranger_config};
use crate::{
    behind::{self, ToldBy, Trusted},
    error::TunnelError,
};

/// Bytes that the head of a stranger's request may have.
const MAX_HEAD: usize = 8 * 1024;

/// What is served at a listener.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// The path that is upgraded.
    pub(crate) path: Arc<str>,
    /// Who may tell where a client comes from.
    pub(crate) trusted: Arc<Trusted>,
    /// How.
    pub(crate) told_by: ToldBy,
}

/// A WebSocket that was asked for, and what the request told of the client's address. The caller
/// knows whether the peer is to be believed.
pub(crate) struct Asked {
    pub(crate) socket: Socket,
    pub(crate) client: Option<SocketAddr>,
}

/// Waits for the upgrade request to the path; answers everything else with 404. Not cancel safe:
/// dropping the future closes the connection.
pub(crate) async fn accept(wire: Wire, door: &Door) -> Result<Asked, TunnelError> {
    let (upgrades, mut upgraded) = mpsc::channel(1);
    let service = service_fn(|mut request: Request<Incoming>| {
        let key = accept_key(&request, &door.path);
        let response = match key {
            Some(key) => {
                let client = behind::client(request.headers(), door.told_by, &door.trusted);
                let _ = upgrades.try_send((hyper::upgrade::on(&mut request), client));
                switching(&key)
            }
            None => not_found(),
        };
        async move { Ok::<_, Infallible>(response) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades()
        .await;
    match (upgraded.try_recv(), served) {
        (Ok((upgrade, client)), _) => Ok(Asked { socket: take_over(upgrade).await?, client }),
        (Err(_), Ok(())) => Err(TunnelError::Transport("no WebSocket was asked for".into())),
        (Err(_), Err(error)) => Err(TunnelError::Transport(error.to_string())),
    }
}

async fn take_over(upgrade: OnUpgrade) -> Result<Socket, TunnelError> {
    let transport = |text: String| TunnelError::Transport(text);
    let upgraded = upgrade.await.map_err(|error| transport(error.to_string()))?;
    let parts = upgraded
        .downcast::<TokioIo<Wire>>()
        .map_err(|_| transport("the connection was not handed back".into()))?;
    let (io, ahead) = (parts.io.into_inner(), parts.read_buf.to_vec());
    Ok(WebSocketStream::from_partially_read(io, ahead, Role::Server, Some(stranger_config())).await)
}

/// The answer's key when this is the upgrade request we serve.
fn accept_key(request: &Request<Incoming>, path: &str) -> Option<String> {
    let headers = request.headers();
    let is = |name, value: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|text| text.to_str().ok())
            .any(|text| text.split(',').any(|token| token.trim().eq_ignore_ascii_case(value)))
    };
    let ours = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && request.uri().path() == path
        && is(header::CONNECTION, "upgrade")
        && is(header::UPGRADE, "websocket")
        && is(header::SEC_WEBSOCKET_VERSION, "13")
        && is(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| ours)?;
    Some(derive_accept_key(key.as_bytes()))
}

fn switching(key: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static(SUBPROTOCOL));
    if let Ok(key) = header::HeaderValue::from_str(key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    response
}

fn not_found() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("not found\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    // One stranger, one answer. (hyper's own switch for that would spoil the 101.)
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}

/// Asks the gateway at `host` (as it goes into `Host`) for the upgrade. Not cancel safe.
pub(crate) async fn connect(wire: Wire, host: &str, path: &str) -> Result<Socket, TunnelError> {
    let request = Request::get(format!("wss://{host}{path}"))
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, tungstenite::handshake::client::generate_key())
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .body(())
        .map_err(|error| TunnelError::Transport(format!("no WebSocket request: {error}")))?;
    match client_async_with_config(request, wire, Some(config())).await {
        Ok((socket, _response)) => Ok(socket),
        Err(tungstenite::Error::Http(response)) => Err(TunnelError::Transport(format!(
            "the gateway answered the WebSocket request with {}; is {path} its ws_path?",
            response.status()
        ))),
        Err(error) => Err(broken(&error)),
    }
}
