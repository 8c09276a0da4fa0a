//! Proxies that strangers can reach in the clear.

use std::net::SocketAddr;

use crate::{doctor::Finding, settings::GatewaySettings};

const CHECK: &str = "exposure";

/// Names plain listeners that are not on loopback.
pub(super) fn examine(settings: &GatewaySettings) -> Finding {
    let GatewaySettings { http, socks5, mixed, .. } = settings;
    let open = [("http", http), ("socks5", socks5), ("mixed", mixed)]
        .into_iter()
        .flat_map(|(key, addrs)| addrs.iter().map(move |addr| (key, *addr)))
        .filter(|(_, addr): &(_, SocketAddr)| !addr.ip().to_canonical().is_loopback())
        .map(|(key, addr)| format!("{key} {addr}"))
        .collect::<Vec<_>>();
    if open.is_empty() {
        return Finding::ok(CHECK, "users' passwords cross no network in the clear");
    }
    let list = open.join(", ");
    Finding::warn(CHECK, format!("{list}: users' passwords cross the network in the clear")).fix(
        "use `https = \"[::]:8444\"` for them, or bind to loopback, or let a firewall pass only a \
         trusted network",
    )
}
