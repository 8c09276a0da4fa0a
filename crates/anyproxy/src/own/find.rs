//! What a gateway without a configuration file has made so far, for those who only look.

use std::path::{Path, PathBuf};

use super::{OwnError, certificates, listen, lock, places};
use crate::{cli::GatewayArgs, config::ConfigError, store};

/// All that a gateway without a file keeps, the store last: it makes the directory one of a gateway.
pub(crate) const FILES: [&str; 7] = [
    "ca.key",
    "ca.crt",
    certificates::KEY,
    certificates::CERTIFICATE,
    "default.password",
    lock::FILE,
    store::FILE,
];

/// What there is of a gateway.
#[derive(Debug)]
pub(crate) enum Found {
    /// A person's file or certificate.
    Told,
    /// What it made for itself, with the arguments that name it.
    Own(Box<GatewayArgs>),
    /// A part of that: this file is missing, which the next start makes anew.
    Part(PathBuf),
    /// Nothing in this directory: it has not started yet.
    Nothing(PathBuf),
}

/// Finds what [`prepare`](super::prepare) would use, and makes nothing.
///
/// # Errors
///
/// When it is not known at which address clients reach the gateway, or where it would keep anything.
pub(crate) fn find(args: &GatewayArgs) -> Result<Found, OwnError> {
    if is_told(args) {
        return Ok(Found::Told);
    }
    let listening = listen(args)?;
    let directory = directory(args)?;
    let certificate = directory.join(certificates::CERTIFICATE);
    let key = directory.join(certificates::KEY);
    Ok(match [certificate, key].map(|path| if is_there(&path) { Ok(()) } else { Err(path) }) {
        [Ok(()), Ok(())] => Found::Own(Box::new(filled(args, listening, &directory))),
        [Err(missing), Ok(())] | [Ok(()), Err(missing)] => Found::Part(missing),
        [Err(missing), Err(_)] if is_there(&directory.join("ca.key")) => Found::Part(missing),
        [Err(_), Err(_)] => Found::Nothing(directory),
    })
}

/// Where a gateway without a file listens.
///
/// # Errors
///
/// When it is not known at which address clients reach it.
pub(crate) fn listening(args: &GatewayArgs) -> Result<std::net::SocketAddr, ConfigError> {
    listen(args)
}

/// Whether a person says what the gateway shows.
pub(super) fn is_told(args: &GatewayArgs) -> bool {
    args.config.is_some() || args.certificate.is_some() || args.key.is_some()
}

/// Where the gateway keeps what it makes.
pub(super) fn directory(args: &GatewayArgs) -> Result<PathBuf, OwnError> {
    args.data_dir.clone().or_else(places::gateway).ok_or(OwnError::NoDirectory)
}

/// The arguments of an ordinary start.
pub(super) fn filled(
    args: &GatewayArgs,
    listening: std::net::SocketAddr,
    directory: &Path,
) -> GatewayArgs {
    GatewayArgs {
        listen: Some(listening),
        certificate: Some(directory.join(certificates::CERTIFICATE)),
        key: Some(directory.join(certificates::KEY)),
        data_dir: Some(directory.into()),
        ..args.clone()
    }
}

/// What may not be looked at is there: whoever reads it says why not.
fn is_there(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}
