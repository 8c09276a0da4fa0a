//! Whether the ports can be had, and who has them if not.

use std::{io, net::SocketAddr};

use super::holder::{self, Holder, Protocol};
use crate::{
    doctor::{Finding, Surroundings},
    settings::GatewaySettings,
    values::GatewayTransport,
};

const CHECK: &str = "port";

/// Binds each address for a moment.
pub(super) fn examine(settings: &GatewaySettings, here: &Surroundings) -> Vec<Finding> {
    let GatewaySettings { listen, transport, http, https, socks5, mixed, .. } = settings;
    let (tcp, udp) = match transport {
        GatewayTransport::Both => (Some(*listen), Some(*listen)),
        GatewayTransport::Ws => (Some(*listen), None),
        GatewayTransport::Quic => (None, Some(*listen)),
    };
    let https = https.as_ref().map_or(&[][..], |https| &https.addrs);
    let mut findings = Vec::new();
    let listen = "listen";
    findings.extend(udp.map(|addr| door(here, (listen, addr), Protocol::Udp)));
    findings.extend(tcp.map(|addr| door(here, (listen, addr), Protocol::Tcp)));
    for (key, addrs) in
        [("http", &http[..]), ("https", https), ("socks5", socks5), ("mixed", mixed)]
    {
        findings.extend(addrs.iter().map(|addr| door(here, (key, *addr), Protocol::Tcp)));
    }
    findings
}

fn door(here: &Surroundings, (key, addr): (&str, SocketAddr), protocol: Protocol) -> Finding {
    let bound = match protocol {
        Protocol::Tcp => here.net.listen(addr).map(drop),
        Protocol::Udp => here.net.udp(addr).map(drop),
    };
    let what = format!("{key} {addr}/{protocol}");
    let Err(error) = bound else { return Finding::ok(CHECK, format!("{what} can be had")) };
    if error.kind() == io::ErrorKind::AddrInUse {
        return taken(&what, (key, addr), protocol);
    }
    let finding = Finding::fail(CHECK, format!("{what}: {error}"));
    if error.kind() == io::ErrorKind::PermissionDenied {
        let program = std::env::current_exe().unwrap_or_else(|_| "anyproxy".into());
        finding.fix(format!(
            "ports under 1024 are privileged: sudo setcap cap_net_bind_service=+ep {}",
            program.display()
        ))
    } else if error.kind() == io::ErrorKind::AddrNotAvailable {
        finding.fix(format!("`{key}` needs an address of this machine: ip -brief address"))
    } else {
        finding.fix(format!("choose another address for `{key}`"))
    }
}

/// A gateway that runs has its ports, and so has a service manager that passes them on.
fn taken(what: &str, (key, addr): (&str, SocketAddr), protocol: Protocol) -> Finding {
    match holder::of(addr.port(), protocol) {
        Some(Holder { pid, name }) if name == "anyproxy" || name == "systemd" => {
            Finding::warn(CHECK, format!("{what} is held by {name} (process {pid})"))
                .fix(format!("nothing, if that is this gateway; else: kill {pid}"))
        }
        Some(Holder { pid, name }) => {
            Finding::fail(CHECK, format!("{what} is taken by {name} (process {pid})"))
                .fix(format!("kill {pid}, or choose another port for `{key}`"))
        }
        None => {
            let flag = match protocol {
                Protocol::Tcp => "-ltnp",
                Protocol::Udp => "-lunp",
            };
            let port = addr.port();
            Finding::fail(CHECK, format!("{what} is taken")).fix(format!(
                "see by whom: sudo ss {flag} sport = :{port}; end it, or choose another port for \
                 `{key}`"
            ))
        }
    }
}
