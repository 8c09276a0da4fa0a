//! `anyproxy client`: from settings to a running client.

mod renewal;

use std::sync::Arc;

use anyproxy_admin::Recent;
use anyproxy_client::{Choice, Client, ClientConfig, Ended, Forward, Limits, ProxyHeader};
use anyproxy_transport::{DialConfig, Method, net::System};
use anyproxy_wire::message::Protocol;

use crate::{
    admin::{Admin, ClientSubject},
    failure::RunError,
    files,
    join::{self, Pending},
    manager::Manager,
    settings::{ClientLimits, ClientSettings, ForwardSettings},
    signals::Signals,
    values::{self, ClientTransport, ForwardProtocol, ProxyProtocol},
};

/// Runs a client until a signal ends it; a second signal skips the drain.
///
/// Not cancel safe: dropping the future ends the client without a drain.
///
/// # Errors
///
/// See [`RunError`]. A gateway that cannot be reached is no error: it is tried for ever.
pub(crate) async fn run(
    settings: ClientSettings,
    pending: Option<Pending>,
    recent: Arc<Recent>,
) -> Result<(), RunError> {
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    let manager = Manager::find();
    let system = Arc::new(System::default());
    let identity = (settings.group.clone(), settings.client_id.clone());
    let forwards = settings.forwards.iter().cloned().map(forward).collect();
    let subject = Arc::new(ClientSubject::new(identity, forwards, recent));
    // Before it joins, which may take minutes: probes would take it for dead.
    let _admin = Admin::start(&settings.admin, &*system, Arc::clone(&subject))?;
    if let Some(pending) = pending {
        // It runs, connected or not.
        manager.ready();
        subject.joins();
        let net = Arc::<System>::clone(&system);
        tokio::select! {
            joined = join::enrol(pending, &settings, net, |why| subject.not_joined(why)) => joined?,
            never = manager.stay_alive() => match never {},
            () = signals.end() => {
                tracing::info!("ended before this client has joined; the same line goes on with it");
                return Ok(());
            }
        }
    }
    let drain = settings.limits.drain;
    // Each proxied connection takes a descriptor here.
    let files = files::raise_limit();
    if let Some(proxy) = &settings.route.proxy {
        tracing::info!(%proxy, "the WebSocket goes through a proxy");
    }
    tracing::info!(gateway = %settings.gateway, group = %settings.group, "client started");
    let certificate = settings.certificate.clone();
    let client = Client::start(configure(settings, files), system, drain)?;
    subject.runs(&client);
    manager.ready();
    tokio::select! {
        () = signals.end() => {}
        never = manager.stay_alive() => match never {},
        never = renewal::follow(certificate) => match never {},
    }
    manager.stopping(drain);
    tracing::info!(?drain, "shutting down; a second signal skips the drain");
    let scope = client.scope();
    let mut shutdown = std::pin::pin!(client.shutdown(drain));
    let ended = loop {
        tokio::select! {
            ended = &mut shutdown => break ended,
            never = manager.stay_alive() => match never {},
            () = signals.end() => scope.cancel(),
        }
    };
    match ended {
        Ended::Drained => tracing::info!("client ended; every connection was finished"),
        Ended::Cut(connections) => {
            tracing::info!(connections, "client ended; connections were cut");
        }
        Ended::Stuck(tasks) => tracing::error!(tasks, "client ended; tasks were left"),
    }
    Ok(())
}

/// How the gateway is reached and known.
pub(crate) fn dial_config(settings: &ClientSettings) -> DialConfig {
    DialConfig {
        host: settings.gateway.host.clone(),
        port: settings.gateway.port,
        server_name: Some(settings.server_name.to_str().into_owned()),
        trust: settings.trust.clone(),
        certificate: settings.certificate.as_ref().map(|own| own.certificate.clone()),
        path: settings.ws_path.clone(),
        oldest_tls: settings.oldest_tls,
        route: settings.route.clone(),
        congestion: settings.congestion.into(),
    }
}

/// `files` is how many descriptors there are.
fn configure(settings: ClientSettings, files: usize) -> ClientConfig {
    let websocket_connections = settings.ws_connections;
    let limits = Limits { websocket_connections, ..within(&settings.limits, files) };
    ClientConfig {
        gateway: dial_config(&settings),
        transport: match settings.transport {
            ClientTransport::Auto => Choice::Auto,
            ClientTransport::Quic => Choice::Quic,
            ClientTransport::Ws => Choice::WebSocket,
        },
        group: settings.group,
        client_id: settings.client_id,
        replicas: settings.replicas,
        secret: settings.secret,
        method: match settings.method {
            values::Method::Secret => Method::Secret,
            values::Method::Password => Method::Password,
            values::Method::Key => Method::Key,
            values::Method::Certificate => Method::Certificate,
        },
        forwards: settings.forwards.into_iter().map(forward).collect(),
        policy: settings.policy,
        limits,
    }
}

/// Each flow has a socket of its own: half of the descriptors are for connections and the rest.
fn within(chosen: &ClientLimits, files: usize) -> Limits {
    let default = Limits::default();
    Limits {
        proxy_timeout: chosen.proxy_timeout,
        stall_budget: chosen.stall_budget,
        max_flows: files::within("max_flows", (chosen.max_flows, default.max_flows), files / 2),
        flow_idle: chosen.flow_idle,
        first_pause: chosen.first_pause,
        longest_pause: chosen.longest_pause,
        max_tunnel_age: chosen.max_tunnel_age,
        ..default
    }
}

fn forward(settings: ForwardSettings) -> Forward {
    Forward {
        name: settings.name,
        listen: settings.listen.to_string(),
        target: settings.target.to_string(),
        protocol: match settings.protocol {
            ForwardProtocol::Tcp => Protocol::Tcp,
            ForwardProtocol::Udp => Protocol::Udp,
        },
        proxy_header: settings.proxy_protocol.map(|version| match version {
            ProxyProtocol::V1 => ProxyHeader::V1,
            ProxyProtocol::V2 => ProxyHeader::V2,
        }),
        idle_timeout: settings.idle_timeout,
        stall_timeout: settings.stall_timeout,
    }
}
