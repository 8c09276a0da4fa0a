//! rathole: `[server]` and `[client]`, in two files or in one.
//!
//! There the server says where it listens and the client what it dials; here the client says both, so the two files
//! together make a whole client.

use serde_json::Value;

use super::{
    ImportError,
    carry::{Context, certificates, dial, name, proxy},
    draft::{ClientDraft, Draft, ForwardDraft, GatewayDraft, Proof, listen_address, port_rule},
    node::Node,
    notes::Notes,
    secrets::Side,
};

/// The group, which rathole does not have.
const GROUP: &str = "rathole";

/// A service, as far as its side knows it.
struct Service {
    name: String,
    address: String,
    protocol: Option<&'static str>,
    path: String,
}

/// Converts both sides.
pub(super) fn convert(value: Value, cx: &mut Context) -> Result<Draft, ImportError> {
    let mut root = Node::new("", value);
    let (server, client) = (root.table("server"), root.table("client"));
    let mut served = vec![];
    let mut draft = Draft::default();
    let two = client.is_some();
    if let Some(server) = server {
        draft.gateway = Some(gateway(server, &mut served, cx)?);
    }
    if let Some(table) = client {
        draft.client = Some(dialling(table, &served, cx)?);
    } else if let Some(gateway) = draft.gateway.as_mut().filter(|_| !two) {
        let why = "clients say here where the gateway listens for them";
        let then = "import the client's file together with this one";
        gateway.notes.add("server.services", why, then);
    }
    Ok(draft)
}

fn gateway(
    mut server: Node,
    served: &mut Vec<Service>,
    cx: &mut Context,
) -> Result<GatewayDraft, ImportError> {
    let mut draft = GatewayDraft::default();
    let notes = &mut draft.notes;
    let group = cx.group(("", None), GROUP, notes);
    match server.text("bind_addr").as_deref().map(listen_address) {
        Some(Some(address)) => draft.listen = Some(address),
        Some(None) | None => notes.add("server.bind_addr", "it is no address", "set `listen`"),
    }
    let (services, token) = services(&mut server, "bind_addr", notes);
    let key = ("server.default_token", token);
    let tunnel = cx.secrets.tunnel((Side::Gateway, &group), key, notes)?;
    for service in services {
        match listen_address(&service.address).and_then(|address| port_rule(&address)) {
            Some(rule) if !draft.group.forwards.contains(&rule) => draft.group.forwards.push(rule),
            Some(_) => {}
            None => notes.add(&service.path, "its bind_addr is no address", "add it to `forwards`"),
        }
        served.push(service);
    }
    draft.group.name = group;
    draft.group.proof = Some(tunnel.proof);
    draft.doors = vec![("http", "off".into()), ("socks5", "off".into())];
    draft.transport = transport(&mut server, Side::Gateway, notes);
    server.forget(&["heartbeat_interval"]);
    notes.rest(server.rest());
    Ok(draft)
}

fn dialling(
    mut table: Node,
    served: &[Service],
    cx: &mut Context,
) -> Result<ClientDraft, ImportError> {
    let mut draft = ClientDraft::default();
    draft.group = cx.group(("", None), GROUP, &mut draft.notes);
    let remote = table.text("remote_addr");
    dial(&mut draft, "client.remote_addr", remote);
    let (services, token) = services(&mut table, "local_addr", &mut draft.notes);
    let key = ("client.default_token", token);
    let tunnel = cx.secrets.tunnel((Side::Client, &draft.group), key, &mut draft.notes)?;
    draft.method = tunnel.method;
    if let Proof::File(file) = tunnel.proof {
        draft.secret_file = file;
    }
    let hostname = table.text("transport.tls.hostname");
    name(&mut draft, "client.transport.tls.hostname", hostname);
    let through = table.text("transport.tcp.proxy");
    proxy(&mut draft, "client.transport.tcp.proxy", through, cx);
    draft.transport = transport(&mut table, Side::Client, &mut draft.notes);
    for service in services {
        forward(&mut draft, service, served);
    }
    table.forget(&["heartbeat_timeout", "retry_interval"]);
    draft.notes.rest(table.rest());
    Ok(draft)
}

/// Puts the two halves of a service together.
fn forward(draft: &mut ClientDraft, service: Service, served: &[Service]) {
    let half = served.iter().find(|half| half.name == service.name);
    let listen = half.and_then(|half| listen_address(&half.address));
    if listen.is_none() {
        let why = "where the gateway listens is in the server's file, so it chooses a port now";
        let then = "import both files together, or set `listen` of this [[forward]]";
        draft.notes.add(&service.path, why, then);
    }
    draft.forward(
        &service.path,
        ForwardDraft {
            name: service.name,
            listen: listen.unwrap_or_else(|| "127.0.0.1:0".into()),
            target: service.address,
            protocol: service.protocol,
            proxy_protocol: None,
        },
    );
}

/// The services, and the one token that becomes the secret.
fn services(side: &mut Node, key: &str, notes: &mut Notes) -> (Vec<Service>, Option<String>) {
    let mut token = side.text("default_token");
    let mut list = vec![];
    for (name, mut node) in
        side.table("services").map(|mut node| node.children()).unwrap_or_default()
    {
        let path = node.at(key);
        let other = node.text("token");
        if other.is_some() && other != token {
            if token.is_none() {
                token = other;
            } else {
                let why = "a group has one secret, and all services are of one group";
                notes.add(&node.at("token"), why, "make another group for it, or leave it out");
            }
        }
        let protocol = node.text("type").filter(|kind| kind == "udp").map(|_| "udp");
        if let Some(address) = node.text(key) {
            list.push(Service { name, address, protocol, path });
        }
        node.forget(&["nodelay", "retry_interval"]);
        notes.rest(node.rest());
    }
    (list, token)
}

/// All of ours are TLS 1.3.
fn transport(side: &mut Node, which: Side, notes: &mut Notes) -> Option<&'static str> {
    let keys =
        ["transport.tls.pkcs12", "transport.tls.pkcs12_password", "transport.tls.trusted_root"];
    if side.forget(&keys) {
        certificates(notes, &side.at("transport.tls"), which);
    }
    if side.forget(&["transport.noise"]) {
        let why = "there is no Noise; TLS 1.3 with a pinned CA takes its place";
        notes.add(&side.at("transport.noise"), why, "nothing, once `anyproxy certs` has run");
    }
    let tuning = ["nodelay", "keepalive_secs", "keepalive_interval"];
    side.forget(&tuning.map(|key| format!("transport.tcp.{key}")).each_ref().map(String::as_str));
    side.forget(&["transport.websocket.tls"]);
    match side.text("transport.type").as_deref() {
        Some("websocket") => Some("ws"),
        Some(_) | None => None,
    }
}
