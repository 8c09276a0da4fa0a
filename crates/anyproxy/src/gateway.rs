//! `anyproxy gateway`: from settings to a running gateway.

use std::sync::Arc;

use anyproxy_gateway::{
    Addresses, Credential, Ended, Gateway, GatewayConfig, GroupConfig, GroupLimits, Limits,
    PortRule, UserConfig,
};
use anyproxy_transport::{ListenConfig, Offer, net::System};

use crate::{
    failure::RunError,
    files,
    settings::{self, GatewaySettings, GroupSettings},
    signals::Signals,
    values::GatewayTransport,
};

/// Runs a gateway until a signal ends it; a second signal skips the drain.
///
/// Not cancel safe: dropping the future ends the gateway without a drain.
///
/// # Errors
///
/// See [`RunError`].
pub(crate) async fn run(settings: GatewaySettings) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let drain = settings.limits.drain;
    let config = configure(settings, files::raise_limit());
    let gateway = Gateway::start(&config, Arc::new(System::default()), drain)?;
    tell(gateway.addresses());
    signals.end().await;
    tracing::info!(
        ?drain,
        users = gateway.users(),
        "shutting down; a second signal skips the drain"
    );
    let scope = gateway.scope();
    let mut shutdown = std::pin::pin!(gateway.shutdown(drain));
    let ended = loop {
        tokio::select! {
            ended = &mut shutdown => break ended,
            () = signals.end() => scope.cancel(),
        }
    };
    match ended {
        Ended::Drained => tracing::info!("gateway ended; every connection was finished"),
        Ended::Cut(users) => tracing::info!(users, "gateway ended; connections were cut"),
        Ended::Stuck(tasks) => tracing::error!(tasks, "gateway ended; tasks were left"),
    }
    Ok(())
}

fn tell(addresses: &Addresses) {
    tracing::info!(tunnels = %addresses.tunnels, "gateway started");
    for http in &addresses.http {
        tracing::info!(%http, "HTTP proxy started");
    }
    for socks5 in &addresses.socks5 {
        tracing::info!(%socks5, "SOCKS5 proxy started");
    }
}

/// `files` is how many descriptors there are: no group of connections may use up those of another, and
/// an eighth is left for listeners, look-ups and the log.
fn configure(settings: GatewaySettings, files: usize) -> GatewayConfig {
    let default = Limits::default();
    let limits = Limits {
        max_handshakes: default.max_handshakes.min(files / 8),
        max_sessions: default.max_sessions.min(files / 8),
        max_users: default.max_users.min(files / 8 * 5),
        proxy_timeout: settings.limits.proxy_timeout,
        stall_budget: settings.limits.stall_budget,
        max_streams: usize::try_from(settings.max_streams).unwrap_or(usize::MAX),
        ..default
    };
    GatewayConfig {
        tunnels: ListenConfig {
            addr: settings.listen,
            offer: match settings.transport {
                GatewayTransport::Quic => Offer::Quic,
                GatewayTransport::Ws => Offer::WebSocket,
                GatewayTransport::Both => Offer::Both,
            },
            identity: settings.identity,
            path: settings.ws_path,
            oldest_tls: settings.oldest_tls,
            dead_after: limits.dead_after,
        },
        http: settings.http,
        https: None,
        socks5: settings.socks5,
        mixed: vec![],
        groups: settings.groups.into_iter().map(group).collect(),
        limits,
    }
}

fn group(settings: GroupSettings) -> GroupConfig {
    GroupConfig {
        users: vec![UserConfig {
            name: settings.name.clone(),
            password: credential(settings.user),
        }],
        name: settings.name,
        tunnel: credential(settings.tunnel),
        limits: GroupLimits::default(),
        ports: settings
            .forwards
            .iter()
            .map(|rule| PortRule { address: rule.address, first: rule.first, last: rule.last })
            .collect(),
    }
}

fn credential(kept: settings::Credential) -> Credential {
    match kept {
        settings::Credential::Verifier(verifier) => Credential::Verifier(verifier),
        settings::Credential::Password(hash) => Credential::Argon2id(hash.as_str().to_owned()),
    }
}
