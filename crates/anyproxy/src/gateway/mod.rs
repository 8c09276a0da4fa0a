//! `anyproxy gateway`: from settings to a running gateway.

mod enrolled;
mod follow;
mod limits;
mod reload;
mod vouched;

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyproxy_admin::Recent;
use anyproxy_gateway::{
    Addresses, Credential, Ended, Gateway, GatewayConfig, GroupConfig, HttpsConfig, PortRule,
    UserConfig,
};
use anyproxy_transport::{ListenConfig, Offer, net::System};

use enrolled::ClientRoll;
use follow::Feed;
use reload::Reloader;
pub(crate) use reload::Sources;
use vouched::Vouched;

use crate::{
    admin::{Admin, GatewaySubject},
    failure::RunError,
    files,
    groups::{self, GroupSettings},
    manager::{Manager, Sockets},
    own::{InUse, Own},
    settings::GatewaySettings,
    signals::{Signals, Wish},
    store,
    values::{ForwardRule, GatewayTransport},
};

/// Runs a gateway until a signal ends it; a second signal skips the drain. SIGHUP makes it read its `sources`
/// again.
///
/// Not cancel safe: dropping the future ends the gateway without a drain.
///
/// # Errors
///
/// See [`RunError`].
pub(crate) async fn run(
    mut settings: GatewaySettings,
    sources: Sources,
    (sockets, own): (Sockets, Option<Own>),
    recent: Arc<Recent>,
) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let drain = settings.limits.drain;
    let mut reloader = Reloader::new(sources, &settings);
    let mut feed = feed(&mut settings)?;
    let _in_use = feed.directory().map(|directory| InUse::take(&directory)).transpose()?;
    let telling = settings.admin.clone();
    let roll = ClientRoll::new(feed.directory());
    let vouched = Vouched::of(&settings);
    let config = configure(settings, feed.groups(), files::raise_limit());
    let system = Arc::new(system(sockets)?);
    let net = Arc::<System>::clone(&system);
    let gateway = Gateway::start_enrolling(&config, net, drain, Arc::new(roll.clone()))?;
    vouched.keep_aside().await;
    let subject = GatewaySubject::new(&gateway, reloader.expiries(), recent);
    let admin = Admin::start(&telling, &*system, Arc::new(subject))?;
    if let Some(addr) = admin.addr() {
        gateway.keep_port(addr, "metrics and health");
    }
    // Only now: whoever waits for this may use all of it.
    tell(gateway.addresses());
    if let Some(own) = &own {
        own.invite(gateway.addresses())?;
    }
    for socket in system.unused_sockets() {
        tracing::warn!(%socket, "the service manager holds a socket that nothing is configured to listen at; \
            make its address and the configured one the same");
    }
    let manager = Manager::find();
    manager.ready();
    // Not anew with each turn, or whoever reloads once an hour would put it off for ever.
    let mut renewing = std::pin::pin!(renew(own.as_ref()));
    loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break,
                Wish::Reload => {
                    manager.reloading();
                    reloader.all(&mut feed, &gateway).await;
                    manager.ready();
                }
            },
            never = manager.stay_alive() => match never {},
            () = reloader.certificates_changed() => reloader.certificates(&gateway).await,
            never = feed.follow(&gateway) => match never {},
            never = roll.follow(&gateway) => match never {},
            never = &mut renewing => match never {},
        }
    }
    end(gateway, drain, &manager, &mut signals).await;
    Ok(())
}

/// Drains, for `drain` at most or until a second signal, and says how it ended.
async fn end(gateway: Gateway, drain: Duration, manager: &Manager, signals: &mut Signals) {
    tracing::info!(
        ?drain,
        users = gateway.users(),
        "shutting down; a second signal skips the drain"
    );
    manager.stopping(drain);
    let scope = gateway.scope();
    let mut shutdown = std::pin::pin!(gateway.shutdown(drain));
    let ended = loop {
        tokio::select! {
            ended = &mut shutdown => break ended,
            never = manager.stay_alive() => match never {},
            () = signals.end() => scope.cancel(),
        }
    };
    match ended {
        Ended::Drained => tracing::info!("gateway ended; every connection was finished"),
        Ended::Cut(users) => tracing::info!(users, "gateway ended; connections were cut"),
        Ended::Stuck(tasks) => tracing::error!(tasks, "gateway ended; tasks were left"),
    }
}

/// Renews the certificates that the gateway made for itself.
async fn renew(own: Option<&Own>) -> Infallible {
    match own {
        Some(own) => own.keep_renewed().await,
        None => std::future::pending().await,
    }
}

/// The system's sockets, with those that were bound for this process.
fn system(sockets: Sockets) -> Result<System, RunError> {
    let Sockets { listeners, datagrams, strange } = sockets;
    if strange > 0 {
        tracing::warn!(
            strange,
            "the service manager passed descriptors that are neither TCP listeners nor \
            UDP sockets; they are not used"
        );
    }
    System::with_inherited(listeners, datagrams).map_err(RunError::Sockets)
}

/// The groups of the file and of the store. A directory that a person named is made, so that a mistake
/// in its path shows now; the default one only when there is something to put into it.
fn feed(settings: &mut GatewaySettings) -> Result<Feed, RunError> {
    if let Some(dir) = settings.data_dir.as_ref().filter(|dir| dir.is_named()) {
        store::create_directory(dir.path())?;
    }
    let file = std::mem::take(&mut settings.groups);
    let directory = settings.data_dir.as_ref().map(|dir| dir.path().to_owned());
    Ok(Feed::new(file, &settings.stored, directory))
}

fn tell(addresses: &Addresses) {
    tracing::info!(tunnels = %addresses.tunnels, "gateway started");
    for http in &addresses.http {
        tracing::info!(%http, "HTTP proxy started");
    }
    for https in &addresses.https {
        tracing::info!(%https, "HTTP proxy behind TLS started");
    }
    for socks5 in &addresses.socks5 {
        tracing::info!(%socks5, "SOCKS5 proxy started");
    }
    for mixed in &addresses.mixed {
        tracing::info!(%mixed, "HTTP and SOCKS5 proxy started");
    }
}

/// `files` is how many descriptors there are.
fn configure(settings: GatewaySettings, groups: &[GroupConfig], files: usize) -> GatewayConfig {
    let limits = limits::within(&settings.limits, files);
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
            behind: settings.behind,
            congestion: settings.congestion.into(),
        },
        http: settings.http,
        https: settings
            .https
            .map(|https| HttpsConfig { addrs: https.addrs, identity: https.identity }),
        socks5: settings.socks5,
        mixed: settings.mixed,
        groups: groups.to_vec(),
        limits,
    }
}

fn group(settings: GroupSettings) -> GroupConfig {
    let rule =
        |rule: &ForwardRule| PortRule { address: rule.address, first: rule.first, last: rule.last };
    let user = |user: groups::UserSettings| UserConfig {
        name: user.name,
        password: credential(user.password),
    };
    GroupConfig {
        name: settings.name,
        tunnel: credential(settings.tunnel),
        client_ca: settings.client_ca,
        users: settings.users.into_iter().map(user).collect(),
        ports: settings.forwards.iter().map(rule).collect(),
        limits: settings.limits,
    }
}

fn credential(kept: groups::Credential) -> Credential {
    match kept {
        groups::Credential::Verifier(verifier) => Credential::Verifier(verifier),
        groups::Credential::Password(hash) => Credential::Argon2id(hash.as_str().to_owned()),
    }
}

#[cfg(test)]
mod renewal_tests;
