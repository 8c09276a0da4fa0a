//! Writing our own TOML.

use std::fmt::{Display, Write as _};

use super::{
    draft::{ClientDraft, ForwardDraft, GatewayDraft, LogDraft, Proof},
    notes::Notes,
};

/// A TOML file in the making.
struct Page(String);

impl Page {
    fn line(&mut self, line: impl Display) {
        // Writing to a string cannot fail.
        let _always = writeln!(self.0, "{line}");
    }

    fn pair(&mut self, key: &str, value: impl Into<toml::Value>) {
        self.line(format_args!("{key} = {}", value.into()));
    }

    fn maybe(&mut self, key: &str, value: Option<impl Into<toml::Value>>) {
        if let Some(value) = value {
            self.pair(key, value);
        }
    }

    fn list(&mut self, key: &str, list: &[String]) {
        if !list.is_empty() {
            self.pair(key, list.to_vec());
        }
    }

    fn head(&mut self, what: &str, source: &str, first: &str, notes: &Notes) {
        let source: String = source.chars().filter(|c| !c.is_control()).collect();
        self.line(format_args!(
            "# {what}, imported from {source}. Every key is in docs/configuration.md."
        ));
        self.line(format_args!("# Paths are relative to this file. {first}"));
        if notes.lines().next().is_some() {
            self.line("#\n# Not carried over:");
        }
        for note in notes.lines() {
            self.line(format_args!("# - {note}"));
        }
        self.line("");
    }

    fn log(&mut self, log: &LogDraft) {
        self.line("\n[log]");
        self.pair("level", log.level.as_deref().unwrap_or("info"));
        self.maybe("format", log.json);
        self.maybe("file", log.file.as_deref());
        self.maybe("keep", log.keep.filter(|_| log.file.is_some()));
    }
}

/// The file of a gateway that clients know as `host`.
pub(super) fn gateway(draft: &GatewayDraft, source: &str, host: &str) -> String {
    let mut page = Page(String::new());
    let first = format!("First, in this directory: anyproxy certs --dir certs --name {host}");
    page.head("A gateway", source, &first, &draft.notes);
    page.maybe("listen", draft.listen.as_deref());
    page.maybe("transport", draft.transport);
    page.pair("certificate", "certs/gateway.crt");
    page.pair("key", "certs/gateway.key");
    for (key, value) in &draft.doors {
        page.pair(key, value.as_str());
    }
    if let Some(most) = draft.max_forwards {
        page.line("\n[limits]");
        page.pair("max_forwards", most);
    }
    page.log(&draft.log);
    let group = &draft.group;
    page.line("\n[[group]]");
    page.pair("name", group.name.as_str());
    match &group.proof {
        Some(Proof::File(file)) => page.pair("secret_file", file.as_str()),
        Some(Proof::Hash(hash)) => page.pair("secret_hash", hash.as_str()),
        None => {}
    }
    page.maybe("password_file", group.password_file.as_deref());
    page.list("forwards", &group.forwards);
    for (name, file) in &group.users {
        page.line("\n[[group.user]]");
        page.pair("name", name.as_str());
        page.pair("password_file", file.as_str());
    }
    page.0
}

/// The file of a client.
pub(super) fn client(draft: &ClientDraft, source: &str) -> String {
    let mut page = Page(String::new());
    let first =
        "First copy the gateway's certs/ca.crt to certs/ca.crt, or set `pin` instead of `ca`.";
    page.head("A client", source, first, &draft.notes);
    page.maybe("gateway", draft.gateway.as_deref());
    page.maybe("transport", draft.transport);
    page.pair("ca", "certs/ca.crt");
    page.maybe("server_name", draft.server_name.as_deref());
    page.maybe("proxy", draft.proxy.as_deref());
    page.maybe("proxy_password_file", draft.proxy_password_file.as_deref());
    page.line("");
    page.pair("group", draft.group.as_str());
    page.maybe("method", draft.method);
    page.pair("secret_file", draft.secret_file.as_str());
    page.maybe("client_id", draft.client_id.as_deref());
    page.maybe("replicas", draft.replicas);
    page.log(&draft.log);
    if !(draft.allow.is_empty() && draft.deny.is_empty()) {
        page.line("\n[policy]");
        page.list("allow", &draft.allow);
        page.list("deny", &draft.deny);
    }
    draft.forwards.iter().for_each(|forward| page.forward(forward));
    page.0
}

impl Page {
    fn forward(&mut self, forward: &ForwardDraft) {
        self.line("\n[[forward]]");
        self.pair("name", forward.name.as_str());
        self.maybe("protocol", forward.protocol);
        self.pair("listen", forward.listen.as_str());
        self.pair("target", forward.target.as_str());
        self.maybe("proxy_protocol", forward.proxy_protocol);
    }
}
