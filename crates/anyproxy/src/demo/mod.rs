//! `anyproxy demo`: a gateway, clients and a target in one process on loopback.
//!
//! ```text
//! user ─▶ HTTP, CONNECT, SOCKS5, forwarded port ─▶ gateway ═╦═ QUIC ══════ client ─┐
//!                                                           ╚═ WebSocket ═ client ─┴▶ target
//! ```
//!
//! Each transport is a group of its own, so a user's name chooses it. Real bytes go through every
//! ingress in both directions and are checked by SHA-256; then it stays up for a person to try.

mod site;
mod table;
mod target;
mod user;

use std::{io, time::Duration};

use anyproxy_transport::Transport;
use tokio::time::Instant;

use crate::{failure::RunError, signals::Signals};
pub(crate) use site::Site;
use table::{Progress, Row, Table};
use user::{Transfer, User, Way};

/// What the demo does after its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// It stays up for a person to try.
    StayUp,
    /// It ends.
    Exit,
}

/// What the demo runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DemoSettings {
    /// How many bytes go through each ingress and transport, down and up together.
    pub(crate) size: u64,
    /// What it does after its table.
    pub(crate) afterwards: Afterwards,
}

/// Why the demo could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Certificates could not be made.
    #[error("cannot make certificates")]
    Certs(#[from] crate::certs::CertsError),
    /// The certificates just made cannot be used.
    #[error("cannot use the certificates")]
    Identity(#[from] anyproxy_transport::IdentityError),
    /// The CA just made cannot be used.
    #[error("cannot use the CA")]
    Trust(#[from] anyproxy_transport::TrustError),
    /// The system gave no random bytes.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
    /// A socket or standard output failed.
    #[error("a socket or the output failed")]
    Io(#[from] io::Error),
    /// A client did not get through to the gateway.
    #[error("the client over {0} did not connect")]
    NotConnected(Transport),
    /// Some bytes did not arrive as they were sent.
    #[error("{0} of the transfers failed; see the table")]
    Failed(usize),
}

/// Runs the demo.
///
/// Not cancel safe: dropping the future ends gateway and client without a drain.
///
/// # Errors
///
/// See [`RunError`]; among them a transfer that was not whole.
pub(crate) async fn run(settings: DemoSettings) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let site = Site::start().await?;
    let failed = measure(&site, settings.size).await?;
    if failed == 0 && settings.afterwards == Afterwards::StayUp {
        table::print(&site.hints()).map_err(DemoError::Io)?;
        signals.end().await;
    }
    site.end(Duration::from_secs(1)).await;
    if failed > 0 {
        return Err(DemoError::Failed(failed).into());
    }
    Ok(())
}

/// Moves the bytes, prints the table, and counts what failed.
async fn measure(site: &Site, size: u64) -> Result<usize, DemoError> {
    let each = (size / 2).max(1);
    let transports = [Transport::Quic, Transport::WebSocket];
    let progress = Progress::new(transports.len() * Way::ALL.len() * 2, each);
    let mut table = Table::default();
    for transport in transports {
        for way in Way::ALL {
            table.add(row(site, transport, way, each, &progress).await);
        }
    }
    progress.finish();
    table::print(&table.text())?;
    Ok(table.failed())
}

async fn row(site: &Site, transport: Transport, way: Way, each: u64, progress: &Progress) -> Row {
    let user = User::new(site, transport, way);
    let began = Instant::now();
    let mut result = Ok(());
    for transfer in [Transfer::Download, Transfer::Upload] {
        progress.begin(transport, way, transfer);
        result = result.and(user.transfer(transfer, each, progress).await);
    }
    Row { transport, way, bytes: each * 2, took: began.elapsed(), result }
}
