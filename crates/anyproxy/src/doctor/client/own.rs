//! The client's own certificate, if it has one. That it fits its key, and that nobody else reads that, the
//! settings have checked.

use std::time::SystemTime;

use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{
    config::read_bytes,
    doctor::{
        Finding,
        chain::{self, FEW_DAYS},
        machine::{SET_CLOCK, date},
    },
    settings::ClientSettings,
};

const CHECK: &str = "client_certificate";
const LARGEST: u64 = 1 << 20;
const RENEW: &str = "have its CA issue a new one (a client that runs takes the new one by itself)";

/// When it ends.
pub(super) fn examine(settings: &ClientSettings, now: SystemTime) -> Vec<Finding> {
    let Some(own) = &settings.certificate else { return vec![] };
    let name = own.chain_file.display();
    let pem = read_bytes(&own.chain_file, LARGEST).unwrap_or_default();
    let chain = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect::<Vec<_>>();
    let Some(leaf) = chain::leaf(&chain) else {
        return vec![Finding::fail(CHECK, format!("{name} cannot be read")).fix(RENEW)];
    };
    if leaf.begins > now {
        let value = format!("{name} is valid only from {}", date(leaf.begins));
        return vec![Finding::fail(CHECK, value).fix(SET_CLOCK)];
    }
    let days = chain::days(now, leaf.ends);
    let count = chain.len();
    let value = format!("{name} for {}, {count} in the chain, valid for {days} days", leaf.names);
    vec![match days {
        ..0 => Finding::fail(CHECK, value).fix(RENEW),
        0 => Finding::warn(CHECK, value).fix(RENEW),
        // Many are valid for days only, and renewed in time.
        1..FEW_DAYS if leaf.is_short_lived() => Finding::ok(CHECK, value),
        1..FEW_DAYS => Finding::warn(CHECK, value).fix(RENEW),
        _ => Finding::ok(CHECK, value),
    }]
}
