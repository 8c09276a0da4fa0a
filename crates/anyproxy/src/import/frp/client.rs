//! `frpc`.

use super::{
    super::{
        ImportError,
        carry::{Context, certificates, dial, name, proxy, stable_name},
        draft::{ClientDraft, ForwardDraft, Proof, host_port},
        node::Node,
        notes::Notes,
        secrets::Side,
    },
    GROUP, log, report, token,
};

/// What does not come over: the key, the reason, what to do.
const LOST: [(&str, &str, &str); 14] = [
    (
        "visitors",
        "there are no visitors",
        "users come to a forwarded port, or through a proxy of the gateway",
    ),
    ("webServer", "there is no web console", "use `anyproxy status`"),
    ("includes", "only one file is read", "import the others too, and join them"),
    ("start", "every forward is started", "remove the [[forward]] that should not be"),
    ("dnsServer", "the system's resolver is used", "set it there"),
    ("metadatas", "there are no plugins to read them", "leave them out"),
    ("loginFailExit", "a client tries again for as long as it runs", "leave it out"),
    ("natHoleStunServer", "clients do not connect to each other", "leave it out"),
    ("featureGates", "they are those of frp", "leave it out"),
    ("auth.additionalScopes", "only a whole session is proven, once", "leave it out"),
    (
        "transport.dialServerTimeout",
        "connecting to the gateway has the bound of everything before bytes flow",
        "set `proxy_timeout` in [limits]",
    ),
    ("virtualNet", "there is no virtual network", "leave it out"),
    ("transport.connectServerLocalIP", "the system chooses the address", "set a route"),
    (
        "transport.tls.certFile",
        "the group has a secret here",
        "to keep the certificate, set `client_certificate`, `client_key` and the group's `client_ca`",
    ),
];

/// The same of a proxy.
const OF_PROXY: [(&str, &str, &str); 7] = [
    (
        "transport.bandwidthLimit",
        "bandwidth is bounded by the gateway",
        "set `bandwidth` of the [[group]] there",
    ),
    ("transport.useCompression", "nothing is compressed", "leave it out"),
    (
        "loadBalancer",
        "a forward has one target in a client",
        "run several clients of one group: they share a port",
    ),
    ("healthCheck", "targets are not checked", "use `anyproxy health`"),
    ("metadatas", "there are no plugins to read them", "leave them out"),
    ("annotations", "there is no web console to show them", "leave them out"),
    (
        "transport.proxyProtocolVersion",
        "it is none of v1 and v2, or the forward is UDP",
        "leave it out",
    ),
];

/// Settings that are about the machinery of frp, and whose purpose needs none here. docs/migration.md says that they go
/// without a note.
const MACHINERY: [&str; 11] = [
    "udpPacketSize",
    "transport.tls.enable",
    "transport.tls.disableCustomTLSFirstByte",
    "transport.tls.keyFile",
    "transport.quic",
    "transport.poolCount",
    "transport.tcpMux",
    "transport.tcpMuxKeepaliveInterval",
    "transport.dialServerKeepalive",
    "transport.heartbeatInterval",
    "transport.heartbeatTimeout",
];

pub(super) fn convert(mut root: Node, cx: &mut Context) -> Result<ClientDraft, ImportError> {
    let mut draft = ClientDraft::default();
    let host = root.text("serverAddr").unwrap_or_else(|| "127.0.0.1".into());
    let port = root.port("serverPort").unwrap_or(7000);
    dial(&mut draft, "serverAddr", Some(host_port(&host, port)));
    draft.group = cx.group(("", None), GROUP, &mut draft.notes);
    let given = ("auth.token", token(&mut root, &mut draft.notes));
    let tunnel = cx.secrets.tunnel((Side::Client, &draft.group), given, &mut draft.notes)?;
    draft.method = tunnel.method;
    if let Proof::File(file) = tunnel.proof {
        draft.secret_file = file;
    }
    draft.client_id = stable_name("user", root.text("user"), &mut draft.notes);
    draft.log = log(&mut root, &mut draft.notes);
    let server_name = root.text("transport.tls.serverName");
    name(&mut draft, "transport.tls.serverName", server_name);
    certificates(&mut draft.notes, "transport.tls.trustedCaFile", Side::Client);
    root.forget(&["transport.tls.trustedCaFile"]);
    let through = root.text("transport.proxyURL");
    proxy(&mut draft, "transport.proxyURL", through, cx);
    draft.transport = transport(&mut root, &mut draft.notes);
    root.forget(&MACHINERY);
    for proxy in root.tables("proxies") {
        convert_proxy(proxy, &mut draft);
    }
    report(&mut root, &LOST, &mut draft.notes);
    draft.notes.rest(root.rest());
    Ok(draft)
}

/// Ours finds its way by itself where frp uses TCP.
fn transport(root: &mut Node, notes: &mut Notes) -> Option<&'static str> {
    match root.text("transport.protocol").as_deref() {
        Some("quic") => Some("quic"),
        Some("websocket" | "wss") => Some("ws"),
        Some("tcp") | None => None,
        Some(_) => {
            let why = "there is no such transport";
            notes.add("transport.protocol", why, "the default takes QUIC, else the WebSocket");
            None
        }
    }
}

fn convert_proxy(mut proxy: Node, draft: &mut ClientDraft) {
    let name = proxy.text("name").unwrap_or_else(|| "forward".into());
    let kind = proxy.text("type").unwrap_or_else(|| "tcp".into());
    let key = format!("{} `{name}`", proxy.at("name").trim_end_matches(".name"));
    if proxy.flag("enabled") == Some(false) {
        return draft.notes.add(&key, "it is not enabled", "nothing");
    }
    if proxy.has("plugin") {
        // INI has the name itself, newer files a table.
        let plugin = proxy.text("plugin").or_else(|| proxy.text("plugin.type"));
        let plugin = plugin.unwrap_or_default();
        let why = format!("there is no plugin {plugin}");
        return draft.notes.add(&key, why.trim_end(), PLUGIN);
    }
    if let Some(then) = instead(&kind) {
        let why = format!("proxies of type {kind} have no counterpart");
        return draft.notes.add(&key, &why, then);
    }
    let protocol = (kind == "udp").then_some("udp");
    let version = match proxy.text("transport.proxyProtocolVersion").as_deref() {
        Some("v1") if protocol.is_none() => Some("v1"),
        Some("v2") if protocol.is_none() => Some("v2"),
        Some(_) => {
            let (what, why, then) = OF_PROXY[6];
            draft.notes.add(&format!("{key} {what}"), why, then);
            None
        }
        None => None,
    };
    let host = proxy.text("localIP").unwrap_or_else(|| "127.0.0.1".into());
    let (remote, local) = (proxy.text("remotePort"), proxy.text("localPort"));
    let (remote, local) = (remote.unwrap_or_else(|| "0".into()), local.unwrap_or_default());
    // `[range:name]` has lists of ports and ranges, of equal lengths.
    for (remote, local) in remote.split(',').zip(local.split(',')) {
        draft.forward(
            &key,
            ForwardDraft {
                name: name.strip_prefix("range:").unwrap_or(&name).into(),
                listen: format!("0.0.0.0:{}", remote.trim()),
                target: target(&host, local.trim()),
                protocol,
                proxy_protocol: version,
            },
        );
    }
    proxy.forget(&["transport.useEncryption", "transport.bandwidthLimitMode"]);
    report(&mut proxy, &OF_PROXY, &mut draft.notes);
    draft.notes.rest(proxy.rest());
}

fn target(host: &str, ports: &str) -> String {
    match ports.parse() {
        Ok(port) => host_port(host, port),
        Err(_) => format!("{host}:{ports}"),
    }
}

/// What to do instead of a plugin of a proxy.
const PLUGIN: &str =
    "forward to the service itself; the gateway has proxies of its own (`http`, `socks5`)";

/// What to do instead of a proxy that is no plain forward.
fn instead(kind: &str) -> Option<&'static str> {
    match kind {
        "tcp" | "udp" => None,
        "http" | "https" => Some(
            "forward a port of the gateway's loopback to it, and put Caddy or nginx in front of that",
        ),
        "tcpmux" => Some("use the gateway's `http` proxy"),
        "stcp" | "xtcp" | "sudp" => {
            Some("users reach the target through the gateway's `http` or `socks5`, with a log-in")
        }
        _ => Some("see docs/migration.md"),
    }
}
