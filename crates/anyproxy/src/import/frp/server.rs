//! `frps`.

use super::{
    super::{
        ImportError,
        carry::{Context, certificates},
        draft::{GatewayDraft, listen_address, port_rule},
        node::Node,
        notes::Notes,
        secrets::Side,
    },
    GROUP, log, report, token,
};

/// What does not come over: the key, the reason, what to do.
const LOST: [(&str, &str, &str); 19] = [
    ("kcpBindPort", "there is no KCP", "clients take QUIC, on the port of `listen`"),
    (
        "quicBindPort",
        "QUIC has the port number of `listen`, over UDP",
        "open that port in the firewall",
    ),
    ("vhostHTTPPort", VHOST, CADDY),
    ("vhostHTTPSPort", VHOST, CADDY),
    ("subDomainHost", VHOST, CADDY),
    ("vhostHTTPTimeout", VHOST, CADDY),
    ("custom404Page", VHOST, CADDY),
    ("tcpmuxHTTPConnectPort", VHOST, "use a forward, or the gateway's `http` proxy"),
    ("tcpmuxPassthrough", VHOST, "use a forward, or the gateway's `http` proxy"),
    ("detailedErrorsToClient", "clients are always told why", "leave it out"),
    (
        "userConnTimeout",
        "the wait for a target has the bound of everything before bytes flow",
        "set `proxy_timeout` in [limits]",
    ),
    ("auth.additionalScopes", "only a whole session is proven, once", "leave it out"),
    ("natholeAnalysisDataReserveHours", "clients do not connect to each other", "leave it out"),
    ("webServer", "there is no web console", "use `anyproxy status`"),
    ("enablePrometheus", "it belongs to the web console", "set `admin`: see docs/metrics.md"),
    ("sshTunnelGateway", "there is no entry for SSH clients", "run a client where the service is"),
    ("httpPlugins", "there are no plugins", "use groups, their limits and `forwards`"),
    ("allowedClientIPs", "the gateway has no list of addresses", "use the firewall"),
    ("maxPortsPerClient", "it is 0 or too large", "see `max_forwards`"),
];
const VHOST: &str = "the gateway tells no sites apart by name";
const CADDY: &str = "forward a port of loopback, and put Caddy or nginx in front of it";

/// Settings that are about the machinery of frp, and whose purpose needs none here. docs/migration.md says that they go
/// without a note.
const MACHINERY: [&str; 8] = [
    "transport.quic",
    "transport.heartbeatTimeout",
    "transport.maxPoolCount",
    "transport.tcpMux",
    "transport.tcpMuxKeepaliveInterval",
    "transport.tcpKeepalive",
    "transport.tls.force",
    "udpPacketSize",
];

pub(super) fn convert(mut root: Node, cx: &mut Context) -> Result<GatewayDraft, ImportError> {
    let mut draft = GatewayDraft::default();
    let notes = &mut draft.notes;
    let host = root.text("bindAddr").unwrap_or_else(|| "0.0.0.0".into());
    let port = root.port("bindPort").unwrap_or(7000);
    draft.listen = listen_address(&format!("{host}:{port}"));
    if draft.listen.is_none() {
        notes.add("bindAddr", "it is no IP address", "set `listen`");
    }
    let group = cx.group(("", None), GROUP, notes);
    let given = ("auth.token", token(&mut root, notes));
    let tunnel = cx.secrets.tunnel((Side::Gateway, &group), given, notes)?;
    draft.group.name = group;
    draft.group.proof = Some(tunnel.proof);
    draft.group.forwards = ports(&mut root, notes);
    // frps has no proxies for users.
    draft.doors = vec![("http", "off".into()), ("socks5", "off".into())];
    draft.log = log(&mut root, notes);
    let most = root.has("maxPortsPerClient").then(|| root.number("maxPortsPerClient")).flatten();
    draft.max_forwards = most.filter(|most| (1..=65535).contains(most));
    if root.forget(&["transport.tls.certFile", "transport.tls.keyFile"]) {
        certificates(notes, "transport.tls", Side::Gateway);
    }
    if root.forget(&["transport.tls.trustedCaFile"]) {
        let why = "the group has a secret here";
        notes.add(
            "transport.tls.trustedCaFile",
            why,
            "nothing: a client without the secret gets nowhere; for certificates set `client_ca`",
        );
    }
    root.forget(&MACHINERY);
    report(&mut root, &LOST, notes);
    notes.rest(root.rest());
    Ok(draft)
}

/// `allowPorts`, at the address for proxies if there is one.
fn ports(root: &mut Node, notes: &mut Notes) -> Vec<String> {
    let address = root.text("proxyBindAddr");
    let mut rules = vec![];
    for mut entry in root.tables("allowPorts") {
        let (start, end) = (entry.text("start"), entry.text("end"));
        let ports = match (entry.text("single"), start, end) {
            (Some(single), ..) => single,
            (None, Some(start), Some(end)) => format!("{start}-{end}"),
            (None, ..) => String::new(),
        };
        match port_rule(&at(address.as_deref(), &ports)) {
            Some(rule) => rules.push(rule),
            None => notes.add(&entry.at("start"), "these are no ports", "add them to `forwards`"),
        }
    }
    if rules.is_empty() {
        let why = "frps lets clients have every port";
        notes.add("allowPorts", why, "narrow `forwards` to the ports that they need");
        let all = ["0", "1024-65535"].iter();
        rules.extend(all.filter_map(|ports| port_rule(&at(address.as_deref(), ports))));
    }
    rules
}

fn at(address: Option<&str>, ports: &str) -> String {
    match address {
        Some(ip) if ip.contains(':') && !ip.starts_with('[') => format!("[{ip}]:{ports}"),
        Some(ip) => format!("{ip}:{ports}"),
        None => ports.into(),
    }
}
