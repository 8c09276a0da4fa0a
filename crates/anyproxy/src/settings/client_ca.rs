//! Whose certificates let clients into a group.

use anyproxy_transport::tls::{ClientCa, ClientCaError};

use super::input::Input;
use crate::config::{ConfigError, Problem, raw::RawGroup};

/// Reads the files of a group if it names them.
pub(super) fn client_ca(
    input: &Input<'_>,
    raw: &RawGroup,
) -> Result<Option<ClientCa>, ConfigError> {
    let Some(file) = &raw.client_ca else {
        let alone = |crl| {
            let what = "the group has `client_crl` without `client_ca`";
            let fix = "name the CA whose revocation list it is: client_ca = \"…\"";
            input.error_at(crl, Problem::Missing { what, fix })
        };
        return raw.client_crl.as_ref().map_or(Ok(None), |crl| Err(alone(crl)));
    };
    let path = input.path(file);
    let pem = input.read_pem(&path)?;
    let crl = raw.client_crl.as_ref().map(|crl| input.path(crl));
    let lists = crl.as_ref().map(|crl| input.read_pem(crl)).transpose()?;
    let read = ClientCa::from_pem(&pem, lists.as_deref());
    read.map(Some).map_err(|error| {
        let (at, fix) = match (&error, crl) {
            (ClientCaError::List(_), Some(crl)) => {
                (crl, "name a PEM file of revocation lists, as `openssl ca -gencrl` makes them")
            }
            (ClientCaError::Ca(_) | ClientCaError::List(_), _) => {
                (path, "name a PEM file with the certificates of the CA that issues clients'")
            }
        };
        let what = error.to_string();
        let problem = Problem::BadFile { path: at.value.clone(), what, fix: fix.into() };
        input.error(&at.origin, problem)
    })
}

/// A certificate has to tell which group it is for.
pub(super) fn distinct(
    input: &Input<'_>,
    raw: &RawGroup,
    (name, ca): (&str, &ClientCa),
    others: &[(String, ClientCa)],
) -> Result<(), ConfigError> {
    let Some((other, _)) = others.iter().find(|(_, other)| other.overlaps(ca)) else {
        return Ok(());
    };
    let problem = Problem::Refused {
        what: format!("the groups `{other}` and `{name}` have the same CA in `client_ca`"),
        fix: "give each group a CA of its own, for example an intermediate one: the CA tells which group a \
              certificate is for"
            .into(),
    };
    Err(input.error_at(raw.client_ca.as_ref().unwrap_or(&raw.name), problem))
}
