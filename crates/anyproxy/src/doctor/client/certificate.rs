//! The gateway's certificate, as the client sees it.

use std::time::SystemTime;

use anyproxy_transport::{Pin, Presented};

use super::{Tried, clock::Reading};
use crate::doctor::{
    Finding,
    chain::{self, FEW_DAYS, Leaf},
    machine::{SET_CLOCK, date},
};

const CHECK: &str = "tls";
const RENEW: &str = "renew it on the gateway: anyproxy certs --dir DIR; one without a file renews it when it starts";

/// One line for each chain that was shown: behind a proxy that inspects TLS there are two.
pub(super) fn examine(tried: &[&Tried], now: SystemTime, clock: &Reading) -> Vec<Finding> {
    let mut shown: Vec<&Presented> = Vec::new();
    for presented in tried.iter().filter_map(|tried| tried.presented.as_ref()) {
        let again = shown.iter().any(|one| {
            one.chain == presented.chain && one.verdict.is_ok() == presented.verdict.is_ok()
        });
        if !again {
            shown.push(presented);
        }
    }
    if shown.is_empty() {
        return vec![Finding::skip(CHECK, "nobody showed a certificate")];
    }
    shown.into_iter().map(|presented| of(presented, now, clock)).collect()
}

fn of(presented: &Presented, now: SystemTime, clock: &Reading) -> Finding {
    let Some(leaf) = chain::leaf(&presented.chain) else {
        return Finding::fail(CHECK, "what was shown is no certificate");
    };
    let count = presented.chain.len();
    let about = format!("the certificate of {} ({count} in the chain)", leaf.names);
    match &presented.verdict {
        Ok(()) => accepted(&about, &leaf, now),
        Err(_) if leaf.ends < now => {
            let value = format!("{about} expired on {}", date(leaf.ends));
            by_time(Finding::fail(CHECK, value), clock)
        }
        Err(_) if leaf.begins > now => {
            let value = format!("{about} is valid only from {}", date(leaf.begins));
            by_time(Finding::fail(CHECK, value), clock)
        }
        Err(reason) => refused(&about, reason, presented),
    }
}

fn accepted(about: &str, leaf: &Leaf, now: SystemTime) -> Finding {
    let days = chain::days(now, leaf.ends);
    let value = format!("{about} is right, and valid for {days} days");
    if days < FEW_DAYS {
        return Finding::warn(CHECK, value).fix(RENEW);
    }
    Finding::ok(CHECK, value)
}

/// The gateway's clock decides whether the certificate or this machine's clock is at fault.
fn by_time(finding: Finding, clock: &Reading) -> Finding {
    match clock.is_wrong() {
        Some(true) => finding.fix(format!("this machine's clock is wrong: {SET_CLOCK}")),
        Some(false) => finding.fix(RENEW),
        None => finding.fix(format!("{RENEW}; or, if this machine's clock is wrong: {SET_CLOCK}")),
    }
}

fn refused(about: &str, reason: &str, presented: &Presented) -> Finding {
    let reason = reason.strip_prefix("invalid peer certificate: ").unwrap_or(reason);
    let reason = reason.strip_prefix("unexpected error: ").unwrap_or(reason);
    if reason.contains("is not the pinned one") {
        let (value, _) = reason.split_once("; ").unwrap_or((reason, ""));
        let seen = presented.chain.last().filter(|_| presented.chain.len() > 1).and_then(Pin::of);
        let compare = "compare it with `anyproxy certs --show` on the gateway";
        let fix = match seen {
            Some(pin) => {
                format!("{compare}; if that prints the pin that was shown: pin = \"{pin}\"")
            }
            None => format!("{compare}; its `certificate` must hold the CA's certificate too"),
        };
        return Finding::fail(CHECK, format!("wrong pin: {value}")).fix(fix);
    }
    let fix = if reason.contains("not valid for name") {
        "set server_name to a name of the certificate, or renew it with this one, on the gateway: anyproxy \
         certs --dir DIR --name NAME, or for one without a file anyproxy gateway --advertise NAME:PORT"
    } else {
        "set `ca` to the gateway's ca.crt, or `pin` to what `anyproxy certs --show` prints there; if a proxy \
         inspects TLS, name its CA with `extra_ca`"
    };
    Finding::fail(CHECK, format!("{about} is not accepted: {reason}")).fix(fix)
}
