//! `anyproxy health`: does a process answer at its addresses?
//!
//! For health checks of containers, which have no other program to ask with. It sends a request that
//! each kind of listener answers without credentials: an HTTP proxy with a status, TLS with an alert,
//! and a forwarded port with whatever its target says, so that an answer from there shows
//! that the whole tunnel works. Nothing of the answer is read but its first byte.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

use anyproxy_runtime::Deadline;
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{cli::HealthArgs, values::HostPort};

/// What every listener has an answer to.
const QUESTION: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n";

/// Why an address does not count as healthy.
#[derive(Debug, Error)]
#[error("{address} {fault}")]
pub struct HealthError {
    address: HostPort,
    fault: Fault,
    source: Option<io::Error>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Unreachable,
    Silent,
    Late(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("cannot be reached"),
            Self::Silent => f.write_str("does not answer"),
            Self::Late(limit) => write!(f, "has not answered within {limit:?}"),
        }
    }
}

/// Asks every address in turn, all of them within one time limit, and names to `out` those that
/// answer.
///
/// # Errors
///
/// The first address that does not answer. A failed `out` is none: the exit code tells.
pub(crate) async fn run(args: &HealthArgs, out: &mut dyn Write) -> Result<(), HealthError> {
    let deadline = Deadline::after(args.timeout);
    for address in &args.addresses {
        let error = |fault, source| HealthError { address: address.clone(), fault, source };
        match deadline.bound(ask(address)).await {
            Ok(Ok(())) => {}
            Ok(Err((fault, source))) => return Err(error(fault, source)),
            Err(_elapsed) => return Err(error(Fault::Late(args.timeout), None)),
        }
        let _unread = writeln!(out, "{address}: ok");
    }
    Ok(())
}

async fn ask(address: &HostPort) -> Result<(), (Fault, Option<io::Error>)> {
    let silent = |error| (Fault::Silent, Some(error));
    let mut stream = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(|error| (Fault::Unreachable, Some(error)))?;
    stream.write_all(QUESTION).await.map_err(silent)?;
    match stream.read(&mut [0; 1]).await.map_err(silent)? {
        0 => Err((Fault::Silent, None)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
