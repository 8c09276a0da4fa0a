//! AnyProxy, the program in Go: one YAML file for both sides (version 1), or one for each (version 2).
//!
//! There a gateway has one log-in for all clients, and learns its groups and their passwords from them. Here a group is
//! named by the gateway, and its secret is what its clients prove. So the gateway's log-in becomes the group's secret, and
//! the group's password that of the proxy user who is named as the group.

use serde_json::Value;

use super::{
    ImportError,
    carry::{Context, certificates, dial, keep, log, stable_name},
    draft::{ClientDraft, Draft, ForwardDraft, GatewayDraft, LogDraft, host_port, listen_address},
    node::Node,
    notes::{Notes, SEE},
    patterns::policy,
    secrets::Side,
};
use crate::values::user_name;

/// The group of files that name none, as version 1 calls it.
const GROUP: &str = "default";

/// Converts both sides of a file.
pub(super) fn convert(value: Value, cx: &mut Context) -> Result<Draft, ImportError> {
    let mut root = Node::new("", value);
    let mut notes = Notes::default();
    let log = read_log(&mut root, &mut notes);
    let group = ["client.group_id", "client.group"].iter().find_map(|key| root.text(key));
    let group = cx.group(("client.group_id", group), GROUP, &mut notes);
    let mut draft = Draft::default();
    if root.has("client") {
        draft.client = Some(client(&mut root, &group, log.clone(), cx)?);
    }
    let forwards = draft.client.as_ref().map_or(&[][..], |client| &client.forwards);
    if root.has("gateway") {
        draft.gateway = Some(gateway(&mut root, (&group, forwards), log, cx)?);
    }
    let all = [
        draft.gateway.as_mut().map(|side| &mut side.notes),
        draft.client.as_mut().map(|side| &mut side.notes),
    ];
    let rest = root.rest();
    for side in all.into_iter().flatten() {
        side.extend(&notes);
        side.rest(rest.clone());
    }
    Ok(draft)
}

fn read_log(root: &mut Node, notes: &mut Notes) -> LogDraft {
    let output = root.text("log.output");
    let file = root.text("log.file");
    // Both `output: file` with a path beside it, and the path as the output itself.
    let file = match output.as_deref() {
        Some("stdout" | "stderr") | None => None,
        Some("file") => file,
        Some(_) => output,
    };
    let mut draft = log(root.text("log.level"), file, notes);
    draft.json = root.text("log.format").filter(|format| format == "json").map(|_| "json");
    draft.keep = keep("log.max_backups", root.number("log.max_backups"), notes);
    if root.forget(&["log.max_size", "log.max_age", "log.compress"]) && draft.file.is_some() {
        let why = "a log file is rotated by time here, not by size, and not compressed";
        notes.add("log.max_size, log.max_age, log.compress", why, "see `rotation` and `keep`");
    }
    draft
}

fn gateway(
    root: &mut Node,
    (group, forwards): (&str, &[ForwardDraft]),
    log: LogDraft,
    cx: &mut Context,
) -> Result<GatewayDraft, ImportError> {
    let mut draft = GatewayDraft { log, ..GatewayDraft::default() };
    let notes = &mut draft.notes;
    match root.text("gateway.listen_addr").as_deref().map(listen_address) {
        Some(Some(address)) => draft.listen = Some(address),
        Some(None) => notes.add("gateway.listen_addr", "it is no address", "set `listen`"),
        None => {}
    }
    draft.transport = transport(root, "gateway.transport_type", notes);
    if root.forget(&["gateway.tls_cert", "gateway.tls_key"]) {
        certificates(notes, "gateway.tls_cert, gateway.tls_key", Side::Gateway);
    }
    root.forget(&["gateway.auth_username"]);
    let key = "gateway.auth_password";
    let tunnel = cx.secrets.tunnel((Side::Gateway, group), (key, root.text(key)), notes)?;
    draft.group.name = group.into();
    draft.group.proof = Some(tunnel.proof);
    draft.group.forwards = ports(forwards, notes);
    // Version 2 has it in the gateway, version 1 beside it.
    let mut proxy = root.table("gateway.proxy").or_else(|| root.table("proxy"));
    if let Some(proxy) = &mut proxy {
        doors(proxy, &mut draft);
        users(proxy, &mut draft, cx)?;
    }
    let notes = &mut draft.notes;
    proxy.into_iter().for_each(|proxy| notes.rest(proxy.rest()));
    let key = "client.group_password";
    match root.text(key) {
        Some(given) => {
            let file = cx.secrets.password(group, (key, Some(given)), notes)?;
            draft.group.password_file = Some(file);
        }
        None if draft.group.users.is_empty() => notes.add(
            "the groups and their passwords",
            "AnyProxy's gateway learns them from its clients, ours names them",
            "`anyproxy group add NAME` for others; users log in with the group's name and the \
             clients' secret until there is `password_hash` or a [[group.user]]",
        ),
        None => {}
    }
    without_counterpart(root, notes);
    Ok(draft)
}

fn without_counterpart(root: &mut Node, notes: &mut Notes) {
    if root.forget(&["gateway.web"]) {
        notes.add("gateway.web", "there is no web console", "use `anyproxy status`");
    }
    let kept = root.text("gateway.credential.type");
    if kept.is_some_and(|kept| kept != "memory") {
        let why = "groups in its file or database are not read";
        notes.add("gateway.credential", why, "add each with `anyproxy group add NAME`");
    }
    root.forget(&["gateway.credential"]);
}

/// What the clients of the same file ask for; else what AnyProxy lets every client have, but for privileged ports.
fn ports(forwards: &[ForwardDraft], notes: &mut Notes) -> Vec<String> {
    let ports = forwards.iter().filter_map(|forward| forward.listen.rsplit(':').next());
    let mut ports: Vec<_> = ports.map(str::to_owned).collect();
    ports.dedup();
    if ports.is_empty() {
        let why = "AnyProxy lets clients open every port";
        notes.add("client.open_ports", why, "narrow `forwards` to the ports that they need");
        ports.push("1024-65535".into());
    }
    ports
}

/// The entry points for users; there they are off unless they have an address.
fn doors(proxy: &mut Node, draft: &mut GatewayDraft) {
    let tls = proxy.forget(&["http.tls_cert", "http.tls_key"]);
    if tls {
        let why = "the HTTP proxy behind TLS shows the gateway's certificate";
        let then = "set `https_certificate` and `https_key` if users trust another one";
        draft.notes.add("proxy.http.tls_cert, proxy.http.tls_key", why, then);
    }
    let http = if tls { "https" } else { "http" };
    let mut http_is_off = true;
    for (theirs, ours) in [("http.listen_addr", http), ("socks5.listen_addr", "socks5")] {
        let given = proxy.text(theirs);
        let address = given.as_deref().and_then(listen_address);
        if given.is_some() && address.is_none() {
            let then = format!("set `{ours}`");
            draft.notes.add(&proxy.at(theirs), "it is no address (IP and port)", &then);
        }
        http_is_off &= ours != "http" || address.is_none();
        if ours == "socks5" || address.is_some() {
            draft.doors.push((ours, address.unwrap_or_else(|| "off".into())));
        }
    }
    if http_is_off {
        draft.doors.push(("http", "off".into()));
    }
    if proxy.forget(&["tuic"]) {
        let why = "there is no TUIC";
        draft.notes.add(&proxy.at("tuic"), why, "give its users `https`, `http` or `socks5`");
    }
}

/// The proxy users of version 1, who are those of the one group.
fn users(proxy: &mut Node, draft: &mut GatewayDraft, cx: &mut Context) -> Result<(), ImportError> {
    for door in ["http", "socks5"] {
        let (name, key) = (format!("{door}.auth_username"), format!("{door}.auth_password"));
        let (given, at) = (proxy.text(&key), proxy.at(&key));
        let Some(user) = proxy.text(&name) else { continue };
        // `user.group` says the group; the names of users do so by themselves here.
        let user = user.strip_suffix(&format!(".{}", draft.group.name)).unwrap_or(&user).to_owned();
        if user_name(&user).is_err() {
            let why = "it is no name of a user here";
            draft.notes.add(&proxy.at(&name), why, "add the user as a [[group.user]]");
        } else if draft.group.users.iter().all(|(other, _)| *other != user) {
            let file = cx.secrets.password(&user, (&at, given), &mut draft.notes)?;
            draft.group.users.push((user, file));
        }
    }
    Ok(())
}

fn client(
    root: &mut Node,
    group: &str,
    log: LogDraft,
    cx: &mut Context,
) -> Result<ClientDraft, ImportError> {
    let mut draft = ClientDraft { group: group.into(), log, ..ClientDraft::default() };
    let addr = root.text("client.gateway.addr").or_else(|| root.text("client.gateway_addr"));
    dial(&mut draft, "client.gateway.addr", addr);
    draft.transport = transport(root, "client.gateway.transport_type", &mut draft.notes);
    if root.forget(&["client.gateway.tls_cert", "client.gateway_tls_cert"]) {
        certificates(&mut draft.notes, "client.gateway.tls_cert", Side::Client);
    }
    root.forget(&["client.gateway.auth_username", "client.auth_username"]);
    let key = "client.gateway.auth_password";
    let secret = root.text(key).or_else(|| root.text("client.auth_password"));
    let tunnel = cx.secrets.tunnel((Side::Client, group), (key, secret), &mut draft.notes)?;
    draft.method = tunnel.method;
    if let super::draft::Proof::File(file) = tunnel.proof {
        draft.secret_file = file;
    }
    if !root.has("gateway") && root.forget(&["client.group_password"]) {
        let why = "users' passwords are kept by the gateway here";
        let then =
            format!("there: anyproxy group passwd {group}, or `password_hash` of the [[group]]");
        draft.notes.add("client.group_password", why, &then);
    }
    let id = root.text("client.id").or_else(|| root.text("client.client_id"));
    draft.client_id = stable_name("client.id", id, &mut draft.notes);
    let replicas = root.number("client.replicas");
    draft.replicas = replicas.map(|number| number.clamp(1, 64));
    if draft.replicas != replicas {
        draft.notes.add("client.replicas", "it is no number from 1 to 64", "set `replicas`");
    }
    let allowed = root.texts("client.allowed_hosts");
    policy(&mut draft, &allowed, &root.texts("client.forbidden_hosts"));
    if root.forget(&["client.web"]) {
        draft.notes.add("client.web", "there is no web console", "use `anyproxy status`");
    }
    open_ports(root, &mut draft);
    Ok(draft)
}

/// Ports of the gateway, which listens on every interface there.
fn open_ports(root: &mut Node, draft: &mut ClientDraft) {
    for mut port in root.tables("client.open_ports") {
        let key = port.at("remote_port");
        let protocol = port.text("protocol").filter(|protocol| protocol == "udp").map(|_| "udp");
        let host = port.text("local_host").unwrap_or_else(|| "127.0.0.1".into());
        if let (Some(remote), Some(local)) = (port.port("remote_port"), port.port("local_port")) {
            let kind = protocol.unwrap_or("tcp");
            draft.forward(
                &key,
                ForwardDraft {
                    name: format!("{kind}-{remote}"),
                    listen: format!("[::]:{remote}"),
                    target: host_port(&host, local),
                    protocol,
                    proxy_protocol: None,
                },
            );
        }
        draft.notes.rest(port.rest());
    }
}

/// `websocket`, which is the default there, `quic` or `grpc`.
fn transport(root: &mut Node, key: &str, notes: &mut Notes) -> Option<&'static str> {
    match root.text(key).as_deref() {
        Some("quic") => Some("quic"),
        Some("websocket") => Some("ws"),
        Some("grpc") => {
            notes.add(
                key,
                "there is no gRPC transport",
                "the default takes QUIC, else the WebSocket",
            );
            None
        }
        Some(_) => {
            notes.add(key, "it is no transport that is known", SEE);
            None
        }
        None => Some("ws"),
    }
}
