//! Carrying over what all the programs have: the gateway to dial, names, proxies, logs, certificates.

use anyproxy_wire::handshake::Secret;
use zeroize::Zeroizing;

use super::{
    draft::{ClientDraft, LogDraft, NOWHERE},
    notes::Notes,
    secrets::Secrets,
};
use crate::{
    settings::log_filter,
    values::{ProxyUrl, client_id, gateway, group_name, server_name},
};

/// What a conversion makes beside the draft, and what the command line says.
pub(super) struct Context {
    /// Private files.
    pub(super) secrets: Secrets,
    /// The name for the group.
    pub(super) group: Option<String>,
}

impl Context {
    /// The group's name: the flag's, the file's as far as it is one here, or the program's.
    pub(super) fn group(
        &self,
        (key, given): (&str, Option<String>),
        default: &str,
        notes: &mut Notes,
    ) -> String {
        if let Some(name) = &self.group {
            return name.clone();
        }
        let Some(given) = given else { return default.into() };
        group_name(&given).unwrap_or_else(|_| {
            let why = "it is no name of a group here (64 letters, digits, `-`, `_`, `.`)";
            notes.add(
                key,
                why,
                &format!("it is called {default} now; --group NAME says otherwise"),
            );
            default.into()
        })
    }
}

/// The log of either side. A file that is none of the standard streams stays the file.
pub(super) fn log(level: Option<String>, file: Option<String>, notes: &mut Notes) -> LogDraft {
    let level = level.map(|level| level.to_ascii_lowercase());
    let level = level.filter(|level| {
        let fits = log_filter(level).is_ok();
        if !fits {
            notes.add(
                "the log's level",
                "it is none of ours",
                "choose one of error, warn, info, debug, trace",
            );
        }
        fits
    });
    let file = file.filter(|file| !matches!(file.as_str(), "console" | "stdout" | "stderr"));
    LogDraft { level, file, ..LogDraft::default() }
}

/// How many log files are kept, as far as that is a number here.
pub(super) fn keep(key: &str, given: Option<i64>, notes: &mut Notes) -> Option<i64> {
    let fits = given.filter(|keep| (1..=1000).contains(keep));
    if given.is_some() && fits.is_none() {
        notes.add(key, "it is no number from 1 to 1000", "set `keep` of [log]");
    }
    fits
}

/// The stable name of a client, as far as it is one here.
pub(super) fn stable_name(key: &str, given: Option<String>, notes: &mut Notes) -> Option<String> {
    let fits = given.clone().filter(|id| client_id(id).is_ok());
    if given.is_some() && fits.is_none() {
        let why = "it is no client id here (1 to 128 bytes, without control characters)";
        notes.add(key, why, "set `client_id`; the default is the host's name");
    }
    fits
}

/// Sets the gateway to dial.
pub(super) fn dial(client: &mut ClientDraft, key: &str, given: Option<String>) {
    match given.as_deref().map(gateway) {
        Some(Ok(at)) => client.gateway = Some(at.to_string()),
        Some(Err(_)) | None => {
            client.gateway = Some(format!("{NOWHERE}:8443"));
            client.notes.add(key, "it is absent or no host and port", "set `gateway`");
        }
    }
}

/// Sets the name that the gateway's certificate must carry.
pub(super) fn name(client: &mut ClientDraft, key: &str, given: Option<String>) {
    let Some(given) = given else { return };
    if server_name(&given).is_ok() {
        client.server_name = Some(given);
    } else {
        client.notes.add(
            key,
            "it is no server name",
            "set `server_name` to a name in the certificate",
        );
    }
}

/// Sets the HTTP proxy to dial through, its password in a file.
pub(super) fn proxy(client: &mut ClientDraft, key: &str, given: Option<String>, cx: &mut Context) {
    let Some(url) = given.map(Zeroizing::new) else { return };
    let Ok(proxy) = url.parse::<ProxyUrl>() else {
        let why = "only HTTP proxies can be dialled through (not SOCKS or NTLM)";
        return client.notes.add(key, why, "set `proxy` if there is an HTTP proxy");
    };
    // Without the password, the URL as it was written.
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url.as_str()));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let login = rest.rsplit_once('@').map(|(login, _)| login.split(':').next().unwrap_or_default());
    let login = login.filter(|user| !user.is_empty()).map(|user| format!("{user}@"));
    client.proxy = Some(format!("{scheme}://{}{place}", login.unwrap_or_default()));
    let password = proxy.password.as_ref().map(Secret::expose).filter(|text| !text.is_empty());
    if let Some(text) = password.and_then(|text| std::str::from_utf8(text).ok()) {
        let file = cx.secrets.add("proxy.password", Zeroizing::new(text.into()));
        client.proxy_password_file = Some(file);
    }
}

/// Says that certificates do not come over, and what takes their place.
pub(super) fn certificates(notes: &mut Notes, key: &str, side: super::secrets::Side) {
    match side {
        super::secrets::Side::Gateway => notes.add(
            key,
            "clients trust a CA here, not the certificate itself",
            "run `anyproxy certs`, or set `certificate` and `key` to those of a public CA",
        ),
        super::secrets::Side::Client => notes.add(
            key,
            "clients trust the CA of the gateway here, and nothing turns that off",
            "copy the gateway's certs/ca.crt, or set `pin` instead of `ca`",
        ),
    }
}
