//! Names and TCP, before anything is said over them.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use anyproxy_runtime::Deadline;
use anyproxy_transport::net::Role;
use tokio::time::Instant;

use super::{Need, STEP, need};
use crate::{
    doctor::{Finding, Surroundings},
    settings::ClientSettings,
    values::{ClientTransport, HostPort},
};

/// Looks the gateway's name up, and the proxy's, and connects to whichever the WebSocket meets first.
pub(super) async fn examine(
    settings: &ClientSettings,
    here: &Surroundings,
    deadline: Deadline,
) -> Vec<Finding> {
    let proxy = settings.route.proxy.as_ref();
    let proxy = proxy.map(|proxy| HostPort { host: proxy.host.clone(), port: proxy.port });
    let ws = need(settings, ClientTransport::Ws) != Need::None;
    let quic = need(settings, ClientTransport::Quic) != Need::None;
    let mut findings = Vec::new();
    let (mut first, mut whose) = (None, Whose::Gateway);
    // The proxy gets the gateway's name and looks it up itself.
    if quic || proxy.is_none() {
        let (finding, addr) = resolve(&settings.gateway, here, deadline).await;
        findings.push(finding);
        first = addr;
    } else {
        let value = format!("{} is looked up by the proxy", settings.gateway.host);
        findings.push(Finding::skip("resolve", value));
    }
    if let Some(proxy) = proxy.as_ref().filter(|_| ws) {
        let (finding, addr) = resolve(proxy, here, deadline).await;
        findings.push(finding);
        (first, whose) = (addr, Whose::Proxy);
    }
    findings.push(match (ws, first) {
        (false, _) => Finding::skip("tcp", "transport = \"quic\" does not use it"),
        (true, None) => Finding::skip("tcp", "there is no address to connect to"),
        (true, Some(addr)) => connect((addr, whose), here, deadline).await,
    });
    findings
}

async fn resolve(
    at: &HostPort,
    here: &Surroundings,
    deadline: Deadline,
) -> (Finding, Option<SocketAddr>) {
    const CHECK: &str = "resolve";
    let began = Instant::now();
    let looking = here.net.resolve(&at.host, at.port);
    let found = deadline.within(STEP).bound(looking).await;
    let took = began.elapsed();
    let host = &at.host;
    let fix = format!("check the name, and ask the resolver: getent ahosts {host}");
    let finding = match &found {
        Ok(Ok(_)) if host.parse::<IpAddr>().is_ok() => {
            Finding::ok(CHECK, format!("{host} is an address"))
        }
        Ok(Ok(addrs)) if !addrs.is_empty() => {
            let list = addrs.iter().map(|addr| addr.ip().to_string()).collect::<Vec<_>>();
            Finding::ok(CHECK, format!("{host} is {}", list.join(", ")))
        }
        Ok(Ok(_)) => Finding::fail(CHECK, format!("{host} has no address")).fix(fix),
        Ok(Err(error)) => Finding::fail(CHECK, format!("{host}: {error}")).fix(fix),
        Err(_) => Finding::fail(CHECK, format!("{host}: the name server does not answer")).fix(fix),
    };
    let first = found.ok().and_then(Result::ok).and_then(|addrs| addrs.first().copied());
    (finding.took(took), first)
}

/// Whom the WebSocket meets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Gateway,
    Proxy,
}

impl Whose {
    /// What helps, if `of_gateway` does where there is no proxy.
    fn fix(self, of_gateway: String) -> String {
        match self {
            Self::Gateway => of_gateway,
            Self::Proxy => PROXY.into(),
        }
    }
}

/// What helps against a proxy that cannot be reached.
const PROXY: &str =
    "check host and port in `proxy` (or HTTPS_PROXY), or set proxy = \"off\" if none is needed";

/// A failure is a warning: whether it matters is the WebSocket's line to tell.
async fn connect(
    (addr, whose): (SocketAddr, Whose),
    here: &Surroundings,
    deadline: Deadline,
) -> Finding {
    const CHECK: &str = "tcp";
    let began = Instant::now();
    let connecting = deadline.within(STEP).bound(here.net.connect(addr, Role::Tunnel)).await;
    let took = began.elapsed();
    let port = addr.port();
    let finding = match connecting {
        Ok(Ok(conn)) => {
            drop(conn);
            Finding::ok(CHECK, format!("{addr} takes connections"))
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let fix =
                format!("start the gateway, or correct the port; there: ss -ltn sport = :{port}");
            Finding::warn(CHECK, format!("{addr} refuses: nobody listens there"))
                .fix(whose.fix(fix))
        }
        Ok(Err(error)) => Finding::warn(CHECK, format!("{addr}: {error}"))
            .fix(format!("check the route: ip route get {}", addr.ip())),
        Err(_) => Finding::warn(CHECK, format!("{addr} does not answer")).fix(whose.fix(format!(
            "open TCP port {port} at the gateway and on the way: nft add rule inet filter input \
             tcp dport {port} accept; or name an HTTP proxy with `proxy`"
        ))),
    };
    finding.took(took)
}
