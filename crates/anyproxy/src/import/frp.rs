//! frp: `frps` and `frpc`, in TOML, YAML, JSON, or the INI of versions before 0.52.
//!
//! Forwards of TCP and UDP come over. What frp does with HTTP, with visitors of its own (`stcp`, `xtcp`) and with plugins is
//! the work of other programs here, and is reported.

mod client;
mod server;

use serde_json::Value;

use super::{
    ImportError,
    carry::Context,
    draft::{Draft, LogDraft},
    node::Node,
    notes::Notes,
};

/// The group, which frp does not have.
const GROUP: &str = "frp";

/// What only `frpc` has.
const OF_CLIENTS: [&str; 2] = ["serverAddr", "serverPort"];

/// What only `frps` has. A server's file may have tables that look like a client's proxies.
const OF_SERVERS: [&str; 11] = [
    "bindAddr",
    "bindPort",
    "kcpBindPort",
    "quicBindPort",
    "proxyBindAddr",
    "vhostHTTPPort",
    "vhostHTTPSPort",
    "subDomainHost",
    "allowPorts",
    "maxPortsPerClient",
    "httpPlugins",
];

/// Converts the file of `frps` or of `frpc`.
pub(super) fn convert(value: Value, cx: &mut Context) -> Result<Draft, ImportError> {
    let root = Node::new("", value);
    let any = |keys: &[&str]| keys.iter().any(|key| root.has(key));
    let is_client = any(&OF_CLIENTS) || (any(&["proxies", "visitors"]) && !any(&OF_SERVERS));
    Ok(if is_client {
        Draft { client: Some(client::convert(root, cx)?), gateway: None }
    } else {
        Draft { gateway: Some(server::convert(root, cx)?), client: None }
    })
}

/// The token, which both sides have.
fn token(root: &mut Node, notes: &mut Notes) -> Option<String> {
    if root.text("auth.method").is_some_and(|method| method != "token") {
        let why = "there is no OIDC; clients prove the group's secret";
        notes.add("auth.method", why, "use the secret");
    }
    if root.forget(&["auth.tokenSource"]) {
        let why = "the file with the token is not read";
        notes.add(
            "auth.tokenSource",
            why,
            "put the token into the secret's file, if it is long enough",
        );
    }
    root.forget(&["auth.oidc"]);
    root.text("auth.token")
}

fn log(root: &mut Node, notes: &mut Notes) -> LogDraft {
    let mut draft = super::carry::log(root.text("log.level"), root.text("log.to"), notes);
    draft.keep = super::carry::keep("log.maxDays", root.number("log.maxDays"), notes);
    root.forget(&["log.disablePrintColor"]);
    draft
}

/// Says of each key that is there why it does not come over.
fn report(root: &mut Node, list: &[(&str, &str, &str)], notes: &mut Notes) {
    for (key, why, then) in list {
        if root.forget(&[key]) {
            notes.add(&root.at(key), why, then);
        }
    }
}
