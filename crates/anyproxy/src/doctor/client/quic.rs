//! UDP, QUIC and the size of the path.

use std::time::Duration;

use anyproxy_runtime::Deadline;
use anyproxy_transport::{Connected, DialError};

use super::{Through, Tried};
use crate::{doctor::Finding, settings::ClientSettings};

/// What QUIC may find a path to carry at most, and where it stops looking.
const LARGEST: u16 = 1_452;
/// What every path must carry for QUIC (RFC 9000, 14).
const LEAST: u16 = 1_200;
/// How long it may take to find out. Each probe that is lost costs some round trips.
const PROBING: Duration = Duration::from_secs(4);
const GLANCE: Duration = Duration::from_millis(50);

/// Whether UDP passes, and QUIC with it.
pub(super) fn handshake(
    settings: &ClientSettings,
    tried: &Tried,
    through: Through,
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
        Err(DialError::TimedOut { addr, .. }) => vec![
            tried
                .failed("udp", format!("nothing comes back from {addr}: UDP is blocked"), through)
                .fix(open),
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

/// The largest packet that passes, as QUIC itself finds it (RFC 8899).
pub(super) async fn mtu(connected: Option<&Connected>, deadline: Deadline) -> Finding {
    const CHECK: &str = "mtu";
    let Some(connected) = connected else { return Finding::skip(CHECK, "no QUIC") };
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
        return Finding::ok(CHECK, value);
    }
    Finding::warn(CHECK, format!("{value}: the path carries no larger one, which costs speed")).fix(
        "find the link with the small MTU: tracepath -n GATEWAY; and set it: ip link set dev DEV \
         mtu 1500",
    )
}
