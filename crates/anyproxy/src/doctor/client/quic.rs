//! UDP, QUIC and the size of the path.

use std::{net::SocketAddr, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_transport::{Connected, DialError};

use super::{Through, Tried};
use crate::{
    doctor::{Finding, Surroundings},
    settings::ClientSettings,
};

/// What QUIC may find a path to carry at most, and where it stops looking.
const LARGEST: u16 = 1_452;
/// What every path must carry for QUIC (RFC 9000, 14).
const LEAST: u16 = 1_200;
/// How long it may take to find out. Each probe that is lost costs some round trips.
const PROBING: Duration = Duration::from_secs(4);
const MTU: &str = "mtu";
const GLANCE: Duration = Duration::from_millis(50);

/// Whether UDP passes, and QUIC with it.
pub(super) fn handshake(
    settings: &ClientSettings,
    tried: &Tried,
    through: Through,
    here: &Surroundings,
) -> Vec<Finding> {
    let port = settings.gateway.port;
    let open = format!(
        "open UDP port {port} at the gateway and on the way: nft add rule inet filter input udp \
         dport {port} accept; else transport = \"ws\""
    );
    let Some(outcome) = &tried.outcome else {
        let why = "transport = \"ws\" does not use it";
        return vec![Finding::skip("udp", why), Finding::skip("quic", why)];
    };
    let passes = || Finding::ok("udp", "the gateway answers");
    match outcome {
        Ok(connected) => {
            let rtt = connected.path().map_or(Duration::ZERO, |path| path.rtt);
            let value = format!("shakes hands, round trip {} ms", rtt.as_millis());
            vec![passes(), Finding::ok("quic", value).took(tried.took)]
        }
        Err(_) if tried.presented.is_some() => {
            vec![passes(), Finding::skip("quic", "the certificate is not accepted")]
        }
        Err(DialError::TimedOut { addr, .. }) if narrow(here, *addr).is_some() => {
            let why = "no packet that is large enough for QUIC passes";
            vec![Finding::skip("udp", why), Finding::skip("quic", why)]
        }
        Err(DialError::TimedOut { addr, .. }) => vec![
            tried
                .failed("udp", format!("nothing comes back from {addr}: UDP is blocked"), through)
                .fix(format!("{open}; if it is open already, {}", widen(&addr.ip().to_string()))),
            Finding::skip("quic", "no UDP"),
        ],
        Err(DialError::Resolve { .. }) => {
            let why = "the gateway's name has no address";
            vec![Finding::skip("udp", why), Finding::skip("quic", why)]
        }
        Err(DialError::Connect { addr, source, .. }) => vec![
            tried
                .failed("udp", format!("{addr}: {source}"), through)
                .fix(format!("start the gateway with transport = \"both\" or \"quic\"; {open}")),
            Finding::skip("quic", "no UDP"),
        ],
        Err(error) => vec![
            tried.failed("udp", error.to_string(), through).fix(open),
            Finding::skip("quic", "no UDP"),
        ],
    }
}

/// What makes a way wider.
fn widen(host: &str) -> String {
    format!(
        "find the link with the small MTU: tracepath -n {host}; and set it: ip link set dev DEV mtu 1500"
    )
}

/// What the kernel takes the way to `addr` to carry, if QUIC cannot go there; and what that would need, both with the
/// heads of IP and UDP.
fn narrow(here: &Surroundings, addr: SocketAddr) -> Option<(u32, u32)> {
    let needed = u32::from(LEAST) + if addr.is_ipv6() { 48 } else { 28 };
    (here.path_mtu)(addr).filter(|mtu| *mtu < needed).map(|mtu| (mtu, needed))
}

/// A way that is too narrow for QUIC; there nothing of it arrives, as if UDP were blocked.
pub(super) fn too_narrow(tried: &Tried, through: Through, here: &Surroundings) -> Option<Finding> {
    let Err(DialError::TimedOut { addr, .. }) = tried.outcome.as_ref()? else { return None };
    let (mtu, needed) = narrow(here, *addr)?;
    let value = format!(
        "the way to {addr} carries packets of {mtu} bytes at most, and QUIC needs {needed}"
    );
    Some(
        tried
            .failed(MTU, value, through)
            .fix(format!("{}; else transport = \"ws\"", widen(&addr.ip().to_string()))),
    )
}

/// The largest packet that passes, as QUIC itself finds it (RFC 8899).
pub(super) async fn mtu(host: &str, connected: Option<&Connected>, deadline: Deadline) -> Finding {
    let Some(connected) = connected else { return Finding::skip(MTU, "no QUIC") };
    let until = deadline.within(PROBING);
    let mtu = loop {
        let mtu = connected.path().map_or(LEAST, |path| path.mtu);
        if mtu >= LARGEST || until.is_over() {
            break mtu;
        }
        until.within(GLANCE).passed().await;
    };
    let value = format!("{mtu} bytes of QUIC in a packet");
    if mtu > LEAST {
        return Finding::ok(MTU, value);
    }
    Finding::warn(MTU, format!("{value}: the path carries no larger one, which costs speed"))
        .fix(widen(host))
}
