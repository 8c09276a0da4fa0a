//! Proxy variables, and what comes of them.

use crate::{
    doctor::{Finding, Surroundings},
    settings::ClientSettings,
};

/// Names what is set, without values that may hold a password, and what the WebSocket takes.
pub(super) fn examine(settings: &ClientSettings, here: &Surroundings) -> Finding {
    let names = here.proxy_variables.iter().map(|(name, value)| match name.to_ascii_lowercase() {
        // A list of hosts holds no password.
        lower if lower == "no_proxy" => format!("{name}={value}"),
        _ => (*name).to_owned(),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let set = if names.is_empty() { "no proxy variable".to_owned() } else { names };
    let used = match &settings.route.proxy {
        Some(proxy) => format!("the WebSocket goes through {proxy}"),
        None => "the WebSocket goes straight".to_owned(),
    };
    Finding::ok("environment", format!("{set} set; {used}"))
}
