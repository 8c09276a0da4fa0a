//! The other side: asking a process for its status.

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::status::{SHAPE, Status};

/// The largest answer, in bytes: thousands of sessions fit.
const LARGEST: usize = 64 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The connection broke, or what came is not HTTP.
    #[error("the process did not answer")]
    Http(#[from] hyper::Error),
    /// The answer is too large.
    #[error("the process's answer broke off, or is too large")]
    Body,
    /// It answered with another status.
    #[error("the process answered with {0}")]
    Refused(StatusCode),
    /// It is no status.
    #[error("the process's answer is not a status")]
    Json(#[from] serde_json::Error),
    /// It is of a later version.
    #[error("the process runs a version whose status has shape {0}; this program knows {SHAPE}")]
    Shape(u32),
}

/// Asks whoever is at the other end of `conn`. Has no limit of time: bound it. Cancel safe.
///
/// # Errors
/// See [`AskError`].
pub async fn ask<C>(conn: C) -> Result<Status, AskError>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(conn)).await?;
    let asking = async move {
        let mut request = Request::new(Empty::<bytes::Bytes>::new());
        *request.uri_mut() = http::Uri::from_static("/status");
        let host = http::HeaderValue::from_static("anyproxy");
        request.headers_mut().insert(header::HOST, host);
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(AskError::Refused(response.status()));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        Ok(body.map_err(|_| AskError::Body)?.to_bytes())
    };
    // Both together: the connection moves what the asking waits for, and may end first.
    let (asked, _ended) = tokio::join!(asking, connection);
    let status: Status = serde_json::from_slice(&asked?)?;
    if status.shape == SHAPE { Ok(status) } else { Err(AskError::Shape(status.shape)) }
}
