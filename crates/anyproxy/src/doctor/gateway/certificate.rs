//! The gateway's own certificates. That they fit their keys, the settings have checked.

use std::{path::Path, time::SystemTime};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    certs,
    config::read_bytes,
    doctor::{
        Finding,
        chain::{self, FEW_DAYS},
        machine,
    },
    settings::GatewaySettings,
};

const CHECK: &str = "certificate";
const LARGEST: u64 = 1 << 20;
const RENEW: &str = "anyproxy certs --dir DIR (a gateway that runs takes the new one by itself)";
/// That it became so old means that none ran.
const RENEW_OWN: &str = "start the gateway: it renews its own certificate";

/// One line for each chain among the files.
pub(super) fn examine(settings: &GatewaySettings, now: SystemTime) -> Vec<Finding> {
    let own = settings.data_dir.as_ref().map(|dir| dir.path().join("gateway.crt"));
    let renew = |path: &Path| if own.as_deref() == Some(path) { RENEW_OWN } else { RENEW };
    settings.certificate_files.iter().filter_map(|path| file(path, renew(path), now)).collect()
}

/// `None` when the file holds a key.
fn file(path: &Path, renew: &str, now: SystemTime) -> Option<Finding> {
    let pem = read_bytes(path, LARGEST).ok()?;
    let chain = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect::<Vec<_>>();
    let leaf = chain::leaf(&chain)?;
    let name = path.display();
    if leaf.begins > now {
        let value = format!("{name} is valid only from {}", machine::date(leaf.begins));
        return Some(Finding::fail(CHECK, value).fix(machine::SET_CLOCK));
    }
    let days = chain::days(now, leaf.ends);
    let pin = certs::authority_pin(&pem).map(|pin| format!(", pin {pin}")).unwrap_or_default();
    let value = format!(
        "{name} for {}, {} in the chain, fits its key, valid for {days} days{pin}",
        leaf.names,
        chain.len()
    );
    Some(match days {
        ..0 => Finding::fail(CHECK, value).fix(renew),
        0..FEW_DAYS => Finding::warn(CHECK, value).fix(renew),
        _ => Finding::ok(CHECK, value),
    })
}
