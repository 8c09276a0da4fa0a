//! A gateway without a configuration file: it makes what it needs, and says how clients join.
//!
//! ```text
//! no --config, no --certificate ─▶ data directory ─┬─ ca.key, ca.crt          for good: clients pin it
//!                                                  ├─ gateway.key, gateway.crt 90 days, renewed after 60
//!                                                  ├─ groups.db               with the group `default`
//!                                                  └─ default.password        of its proxy user
//! ```
//!
//! What is there is kept. One start at a time makes what is missing, so of several at once all have the same. Everything goes into the arguments of an ordinary start, so that nothing else
//! knows of this.
//!
//! Without an address for clients it listens on loopback only: nobody reaches what nobody meant to open.
//! The group may have ports from 1024 on of the gateway's loopback, so a forward works at once, and what it opens is
//! not public before somebody says so (`anyproxy group set`).

mod certificates;
mod error;
mod find;
mod group;
mod in_use;
mod invite;
mod lock;
pub(crate) mod places;

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, SystemTime},
};

pub use error::OwnError;
pub(crate) use find::{FILES, Found, find, listening};
pub(crate) use in_use::{InUse, Still};
use lock::Lock;

use crate::{
    cli::GatewayArgs,
    config::{ConfigError, Place, Problem},
    failure::chain,
    settings::TUNNEL_PORT,
    store::create_directory,
    values::HostPort,
};

/// How often it is looked whether the certificate has to be renewed.
const RENEWAL_PERIOD: Duration = Duration::from_secs(60 * 60);

/// What a gateway without a configuration file made for itself.
#[derive(Debug)]
pub(crate) struct Own {
    directory: PathBuf,
    /// What the certificate is for.
    names: Vec<String>,
    advertise: Option<HostPort>,
    /// From before anything was made.
    _in_use: InUse,
}

/// Makes what is missing, and gives the arguments that name it; `None` if the gateway has a file or a
/// certificate of a person's.
///
/// # Errors
///
/// When something cannot be made, or it is not known at which address clients reach the gateway.
pub(crate) fn prepare(args: &GatewayArgs) -> Result<Option<(GatewayArgs, Own)>, OwnError> {
    prepare_at(args, SystemTime::now())
}

/// The same, at another time.
pub(crate) fn prepare_at(
    args: &GatewayArgs,
    now: SystemTime,
) -> Result<Option<(GatewayArgs, Own)>, OwnError> {
    if find::is_told(args) {
        return Ok(None);
    }
    let listen = listen(args)?;
    let directory = find::directory(args)?;
    create_directory(&directory)?;
    let in_use = InUse::take(&directory)?;
    let lock = Lock::take(&directory)?;
    let names = certificates::names(args.advertise.as_ref());
    certificates::make(&directory, &names, now)?;
    group::make(&directory)?;
    drop(lock);
    let own = Own {
        directory: directory.clone(),
        names,
        advertise: args.advertise.clone(),
        _in_use: in_use,
    };
    let args = find::filled(args, listen, &directory);
    Ok(Some((args, own)))
}

/// Where to listen: where clients come, and else on loopback.
fn listen(args: &GatewayArgs) -> Result<SocketAddr, ConfigError> {
    let on = |ip: IpAddr, port| Ok(SocketAddr::new(ip, port));
    match (args.listen, &args.advertise) {
        (None, None) => on(Ipv4Addr::LOCALHOST.into(), TUNNEL_PORT),
        (None, Some(address)) => {
            on(loopback(&address.host).unwrap_or(Ipv6Addr::UNSPECIFIED.into()), address.port)
        }
        (Some(listen), Some(_)) => Ok(listen),
        (Some(listen), None) if listen.ip().is_loopback() => Ok(listen),
        (Some(_), None) => Err(ConfigError::new(Place::Flag("--listen"), unknown_address())),
    }
}

/// The problem that nothing tells where clients reach the gateway.
pub(crate) fn unknown_address() -> Problem {
    Problem::Missing {
        what: "it is not known at which address clients reach this gateway",
        fix: "add --advertise HOST:PORT with a name or address that they can reach",
    }
}

/// The address of this machine alone that `host` is; the name for it may mean two, and everybody has this one.
fn loopback(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    host.parse().ok().filter(|ip: &IpAddr| ip.to_canonical().is_loopback())
}

impl Own {
    /// Renews the certificate in time, for ever; the gateway takes changed files over by itself. Cancel
    /// safe.
    pub(crate) async fn keep_renewed(&self) -> Infallible {
        self.keep_renewed_by(SystemTime::now).await
    }

    /// The same, by another clock.
    pub(crate) async fn keep_renewed_by(&self, clock: impl Fn() -> SystemTime) -> Infallible {
        loop {
            tokio::time::sleep(RENEWAL_PERIOD).await;
            let now = clock();
            let (directory, names) = (self.directory.clone(), self.names.clone());
            let renewing = tokio::task::spawn_blocking(move || {
                // Whoever has it is about to renew too; a wait would hold a shutdown up.
                let _lock = Lock::take_within(&directory, Duration::ZERO)?;
                Ok(certificates::make(&directory, &names, now)?)
            });
            // A panic is logged; the next hour brings another try.
            let Ok(Err(error)): Result<Result<_, OwnError>, _> = renewing.await else { continue };
            let fix = error.fix().unwrap_or_default();
            tracing::error!(error = %chain(&error), %fix, "the certificate was not renewed");
        }
    }
}

#[cfg(test)]
mod tests;
