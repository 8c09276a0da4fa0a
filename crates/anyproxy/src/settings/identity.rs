//! The certificates that a gateway shows, with their keys.

use std::path::{Path, PathBuf};

use anyproxy_transport::tls::{Identity, IdentityError};

use super::input::{Given, Input};
use crate::{
    cli::GatewayArgs,
    config::{
        ConfigError, Problem,
        raw::{RawGateway, Text},
    },
};

/// Files of a certificate chain and its key.
#[derive(Debug, Clone)]
pub(super) struct Files {
    certificate: Given<PathBuf>,
    key: Given<PathBuf>,
}

/// The files that clients' tunnels use.
pub(super) fn of_tunnels(
    input: &Input<'_>,
    args: &GatewayArgs,
    raw: &RawGateway,
) -> Result<Files, ConfigError> {
    let path = |flag, raw: &Option<Text>, what| {
        let path = input.pick_path(flag, raw.as_ref());
        path.ok_or_else(|| input.error_whole(missing_tls(what)))
    };
    let flag = flag("--certificate", args.certificate.as_ref());
    let certificate = path(flag, &raw.certificate, "the gateway has no `certificate`")?;
    let flag = self::flag("--key", args.key.as_ref());
    let key = path(flag, &raw.key, "the gateway has no `key`")?;
    Ok(Files { certificate, key })
}

/// The files of the HTTP proxy behind TLS, if it has some of its own.
pub(super) fn of_https(
    input: &Input<'_>,
    args: &GatewayArgs,
    raw: &RawGateway,
) -> Result<Option<Files>, ConfigError> {
    let certificate = flag("--https-certificate", args.https_certificate.as_ref());
    let certificate = input.pick_path(certificate, raw.https_certificate.as_ref());
    let key = flag("--https-key", args.https_key.as_ref());
    let key = input.pick_path(key, raw.https_key.as_ref());
    let alone = |given: &Given<PathBuf>| {
        let problem = Problem::Missing {
            what: "of `https_certificate` and `https_key` only one is given",
            fix: "give both, or neither for the gateway's own",
        };
        input.error(&given.origin, problem)
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(Files { certificate, key })),
        (Some(given), None) | (None, Some(given)) => Err(alone(&given)),
        (None, None) => Ok(None),
    }
}

fn flag<'a>(name: &'static str, path: Option<&'a PathBuf>) -> Option<(&'static str, &'a Path)> {
    path.map(|path| (name, path.as_path()))
}

impl Files {
    /// Where they are.
    pub(super) fn paths(&self) -> [PathBuf; 2] {
        [self.certificate.value.clone(), self.key.value.clone()]
    }

    /// Notes that others can read the key.
    pub(super) fn note_open(&self, input: &mut Input<'_>) {
        input.note_open(&self.key.value);
    }

    /// Reads the files and checks that they belong together and are not over.
    pub(super) fn read(&self, input: &Input<'_>) -> Result<Identity, ConfigError> {
        let Self { certificate, key } = self;
        let chain = input.read_pem(certificate)?;
        let secret = zeroize::Zeroizing::new(input.read_pem(key)?);
        let identity = Identity::from_pem(&chain, &secret)
            .map_err(|error| bad_identity(input, certificate, key, &error))?;
        not_expired(certificate, &chain)
            .map_err(|problem| input.error(&certificate.origin, problem))?;
        Ok(identity)
    }
}

fn missing_tls(what: &'static str) -> Problem {
    Problem::Missing {
        what,
        fix: "run `anyproxy certs` and set certificate = \"…/gateway.crt\" and key = \
              \"…/gateway.key\"; there is no mode without encryption",
    }
}

/// Blames the file that is at fault.
fn bad_identity(
    input: &Input<'_>,
    certificate: &Given<PathBuf>,
    key: &Given<PathBuf>,
    error: &IdentityError,
) -> ConfigError {
    let at = match error {
        IdentityError::Certificate(_) => certificate,
        IdentityError::Key(_) | IdentityError::Mismatch(_) => key,
    };
    let problem = Problem::BadFile {
        path: at.value.clone(),
        what: error.to_string(),
        fix: "name the PEM files that belong together, or make new ones: anyproxy certs".into(),
    };
    input.error(&at.origin, problem)
}

/// Checks that the leaf of a PEM chain is not over: every client would refuse it.
fn not_expired(certificate: &Given<PathBuf>, chain: &[u8]) -> Result<(), Problem> {
    let directory = certificate.value.parent().unwrap_or(Path::new("."));
    match crate::certs::expiry(chain) {
        Some(expiry) if expiry.is_over() => Err(Problem::BadFile {
            path: certificate.value.clone(),
            what: format!("the certificate expired on {expiry}"),
            fix: format!("renew it: anyproxy certs --dir {}", directory.display()),
        }),
        Some(_) | None => Ok(()),
    }
}
