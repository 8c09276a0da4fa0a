//! The certificate with which a client proves itself.

use std::path::PathBuf;

use anyproxy_transport::tls::{Identity, IdentityError, OwnCertificate};

use super::{
    Warning,
    input::{Given, Input, Origin},
};
use crate::{
    certs,
    cli::ClientArgs,
    config::{
        ConfigError, Problem,
        raw::{RawClient, Text},
    },
};

/// What a client shows where it is asked, and from where that is renewed.
#[derive(Debug, Clone)]
pub struct CertificateSettings {
    /// The chain and its key.
    pub certificate: OwnCertificate,
    /// The file of the chain.
    pub chain_file: PathBuf,
    /// The file of the key.
    pub key_file: PathBuf,
}

/// Reads the files if they are named; both are, or neither.
pub(super) fn certificate(
    input: &mut Input<'_>,
    args: &ClientArgs,
    raw: &RawClient,
) -> Result<Option<CertificateSettings>, ConfigError> {
    let chain = ("--client-certificate", args.client_certificate.as_ref());
    let chain = given(input, chain, raw.client_certificate.as_ref());
    let key = given(input, ("--client-key", args.client_key.as_ref()), raw.client_key.as_ref());
    match (chain, key) {
        (Some(chain), Some(key)) => read(input, chain, key).map(Some),
        (Some(alone), None) | (None, Some(alone)) => {
            let what = "of `client_certificate` and `client_key` only one is given";
            let problem = Problem::Missing { what, fix: "give both: the chain and its key, PEM" };
            Err(input.error(&alone.origin, problem))
        }
        (None, None) => Ok(None),
    }
}

fn given(
    input: &Input<'_>,
    (name, flag): (&'static str, Option<&PathBuf>),
    raw: Option<&Text>,
) -> Option<Given<PathBuf>> {
    input.pick_path(flag.map(|path| (name, path.as_path())), raw)
}

fn read(
    input: &mut Input<'_>,
    chain: Given<PathBuf>,
    key: Given<PathBuf>,
) -> Result<CertificateSettings, ConfigError> {
    let pem = input.read_pem(&chain)?;
    let secret = zeroize::Zeroizing::new(input.read_pem(&key)?);
    let certificate = Identity::from_pem(&pem, &secret)
        .and_then(|identity| OwnCertificate::new(&identity))
        .map_err(|error| bad(input, (&chain, &key), &error))?;
    input.note_open(&key.value);
    // It may be renewed any moment, and what renews it may need the network that this client is to be.
    if let Some(expiry) = certs::expiry(&pem).filter(|expiry| expiry.is_over()) {
        input.warnings.push(Warning::Expired { path: chain.value.clone(), expiry });
    }
    Ok(CertificateSettings { certificate, chain_file: chain.value, key_file: key.value })
}

/// Blames the file that is at fault.
fn bad(
    input: &Input<'_>,
    (chain, key): (&Given<PathBuf>, &Given<PathBuf>),
    error: &IdentityError,
) -> ConfigError {
    let at = match error {
        IdentityError::Certificate(_) => chain,
        IdentityError::Key(_) | IdentityError::Mismatch(_) => key,
    };
    let problem = Problem::BadFile {
        path: at.value.clone(),
        what: error.to_string(),
        fix: "name the PEM files that belong together; docs/joining.md shows how to make them"
            .into(),
    };
    input.error(&at.origin, problem)
}

/// TLS 1.2 is for what ends TLS on the way, which no certificate passes.
pub(super) fn not_with_tls12(input: &Input<'_>, raw: &RawClient) -> Result<(), ConfigError> {
    match raw.tls12.as_ref().filter(|tls12| *tls12.get_ref()) {
        Some(tls12) => {
            let problem = Problem::Refused {
                what: "`tls12` does not go with `method = \"certificate\"`".into(),
                fix: "leave `tls12` out; through a middlebox that ends TLS only a secret passes"
                    .into(),
            };
            Err(input.error_at(tls12, problem))
        }
        None => Ok(()),
    }
}

/// There has to be one when it is what proves who the client is.
pub(super) fn missing(input: &Input<'_>, args: &ClientArgs, raw: &RawClient) -> ConfigError {
    let problem = Problem::Missing {
        what: "`method = \"certificate\"` without a certificate",
        fix: "use --client-certificate FILE and --client-key FILE, ANYPROXY_CLIENT_CERTIFICATE and \
              ANYPROXY_CLIENT_KEY, or `client_certificate` and `client_key` in the file",
    };
    match (&args.method, &raw.method) {
        (None, Some(method)) => input.error_at(method, problem),
        (Some(_), _) => input.error(&Origin::Flag("--method"), problem),
        (None, None) => input.error_whole(problem),
    }
}
