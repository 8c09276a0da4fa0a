//! Whose certificates let clients into a group.

use std::path::PathBuf;

use anyproxy_transport::tls::{ClientCa, ClientCaError, Overlap};

use super::{
    Warning,
    input::{Given, Input},
};
use crate::{
    certs,
    config::{ConfigError, Problem, raw::RawGroup},
    groups::GroupSettings,
};

/// Reads the files of a group if it names them.
pub(super) fn client_ca(
    input: &mut Input<'_>,
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
    note_old(input, crl.as_ref(), lists.as_deref());
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

/// A list beyond its time still says what was revoked until then. To let nobody in without a new one would end
/// the group wherever it comes late.
fn note_old(input: &mut Input<'_>, crl: Option<&Given<PathBuf>>, lists: Option<&[u8]>) {
    let next = lists.and_then(certs::next_update).filter(|next| next.is_over());
    if let (Some(crl), Some(expiry)) = (crl, next) {
        input.warnings.push(Warning::OldList { path: crl.value.clone(), expiry });
    }
}

/// A certificate has to tell which group it is for.
pub(super) fn distinct(
    input: &Input<'_>,
    raw: &RawGroup,
    (name, ca): (&str, &ClientCa),
    others: &[(String, ClientCa)],
) -> Result<(), ConfigError> {
    let overlap = |(other, theirs): &(String, ClientCa)| Some((other.clone(), theirs.overlap(ca)?));
    let Some((other, overlap)) = others.iter().find_map(overlap) else {
        return Ok(());
    };
    let what = match overlap {
        Overlap::Same => {
            format!("the groups `{other}` and `{name}` have the same CA in `client_ca`")
        }
        Overlap::FirstIssuedSecond => issued(&other, name),
        Overlap::SecondIssuedFirst => issued(name, &other),
    };
    let problem = Problem::Refused {
        what,
        fix: "give each group a CA of its own that no other group's issued, for example intermediate ones \
              beside each other: the CA tells which group a certificate is for"
            .into(),
    };
    Err(input.error_at(raw.client_ca.as_ref().unwrap_or(&raw.name), problem))
}

fn issued(above: &str, below: &str) -> String {
    format!(
        "in `client_ca` a CA of the group `{above}` is the issuer of one of `{below}`, whose certificates would \
         let into both"
    )
}

/// Tells each group of the others' CAs.
pub(super) fn beside_each_other(groups: &mut [GroupSettings]) {
    let cas = groups.iter().map(|group| group.client_ca.clone()).collect::<Vec<_>>();
    for (index, group) in groups.iter_mut().enumerate() {
        let others = cas.iter().enumerate().filter(|(other, _)| *other != index);
        let others = others.filter_map(|(_, ca)| ca.as_ref());
        group.client_ca = group.client_ca.as_ref().map(|ca| ca.beside(others));
    }
}
