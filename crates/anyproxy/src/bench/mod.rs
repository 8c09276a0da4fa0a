//! `anyproxy bench`: how fast a tunnel is.
//!
//! ```text
//! bench ─▶ forwarded port ─▶ gateway ══ tunnel ══ client ─▶ bench target      one process, or
//! bench --connect GATEWAY:PORT ─▶ … live tunnel … ─▶ bench --serve ADDRESS    two, anywhere
//! ```
//!
//! Every byte is compared with the one that was sent, so a figure never stands for something broken.

mod cpu;
mod figures;
mod measure;
mod target;

use std::{io, sync::Arc, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_transport::{
    Transport,
    net::{Net, System},
};

use crate::{cli::BenchArgs, demo::Site, failure::RunError, signals::Signals, values::HostPort};
use cpu::Whose;
use figures::Report;
use measure::Measurement;

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The target's address cannot be had.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The port cannot be reached.
    #[error("cannot connect to {at}")]
    Connect {
        /// The port.
        at: HostPort,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else answers, or nobody.
    #[error("what is behind {at} is no `anyproxy bench --serve`")]
    NotATarget {
        /// The port.
        at: HostPort,
        /// What came instead.
        source: io::Error,
    },
    /// The connection broke.
    #[error("{stage} broke off")]
    Broken {
        /// What was measured.
        stage: &'static str,
        /// How.
        source: io::Error,
    },
    /// A byte is not the one that was sent.
    #[error("{stage}: byte {at} is not the one that was sent")]
    Corrupt {
        /// What was measured.
        stage: &'static str,
        /// Which byte.
        at: u64,
    },
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl BenchError {
    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Listen { .. } => Some("choose another address for --serve".into()),
            Self::NotATarget { .. } | Self::Connect { .. } => Some(
                "run `anyproxy bench --serve 127.0.0.1:7000` beside the client, start the client \
                 with --forward PORT:127.0.0.1:7000, and connect to that port of the gateway"
                    .into(),
            ),
            Self::Broken { .. } | Self::Corrupt { .. } | Self::Output(_) => None,
        }
    }
}

/// Measures, or serves a measurement until a signal ends it.
///
/// # Errors
///
/// See [`BenchError`].
pub(crate) async fn run(args: &BenchArgs, out: &mut dyn io::Write) -> Result<(), RunError> {
    let net: Arc<dyn Net> = Arc::new(System::default());
    if let Some(addr) = args.serve {
        return serve(net, addr, out).await;
    }
    let report = match &args.connect {
        Some(at) => {
            let mut report = Report::default();
            let measurement = Measurement::new(&net, at.clone(), args);
            let row = measurement.run(at.to_string(), Whose::Everybodys).await?;
            report.rows.push(row);
            report
        }
        None => pair(&net, args).await?,
    };
    let text = if args.json { report.json() } else { report.text() };
    out.write_all(text.as_bytes()).map_err(BenchError::Output)?;
    Ok(())
}

async fn serve(
    net: Arc<dyn Net>,
    addr: std::net::SocketAddr,
    out: &mut dyn io::Write,
) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let scope = Scope::root("bench");
    let bound = target::start(&*net, addr, &scope);
    let bound = bound.map_err(|source| BenchError::Listen { addr, source })?;
    // Whoever started it in the background waits for this line.
    let said = writeln!(out, "serving at {bound}; Ctrl-C ends it");
    said.and_then(|()| out.flush()).map_err(BenchError::Output)?;
    signals.end().await;
    let _ended = scope.shutdown(Duration::ZERO, Duration::from_secs(1)).await;
    Ok(())
}

/// A gateway, a client for each transport and a target, all here.
async fn pair(net: &Arc<dyn Net>, args: &BenchArgs) -> Result<Report, RunError> {
    let scope = Scope::root("bench");
    let addr = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let target = target::start(&**net, addr, &scope);
    let target = target.map_err(|source| BenchError::Listen { addr, source })?;
    let site = Site::before(target, scope).await?;
    let mut report = Report::default();
    for transport in [Transport::Quic, Transport::WebSocket] {
        let port = site.forward(transport);
        let at = HostPort { host: port.ip().to_string(), port: port.port() };
        report
            .rows
            .push(Measurement::new(net, at, args).run(transport.to_string(), Whose::Ours).await?);
    }
    site.end(Duration::from_secs(1)).await;
    Ok(report)
}
