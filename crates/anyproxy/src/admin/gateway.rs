//! A gateway, as it is asked about.

use std::sync::{Arc, Mutex, PoisonError};

use anyproxy_admin::{
    Page, Process, Readiness, Recent, Status, Subject, catalogue,
    status::{Certificate, Forward, Listener, Session},
};
use anyproxy_gateway::{
    Addresses, DroppedDatagrams, FailedLoginFigures, Gateway, GatewayFigures, PortFigures,
    SessionFigures, Watched,
};
use anyproxy_wire::message::Protocol;

use super::{
    Told,
    figures::{self, loss, rtt},
    groups,
};
use crate::{certs::expiry_of, settings::GatewaySettings};

/// When the certificates that are shown expire.
#[derive(Debug, Default)]
pub(crate) struct Expiries(Mutex<Vec<Certificate>>);

impl Expiries {
    /// Those of `settings` are shown from now on.
    pub(crate) fn set(&self, settings: &GatewaySettings) {
        let https = settings.https.as_ref().map(|https| ("https", &https.identity));
        let identities = [("tunnels", &settings.identity)].into_iter().chain(https);
        let certificates = identities.filter_map(|(name, identity)| {
            let expires_at = expiry_of(identity.certificate()?)?.timestamp();
            Some(Certificate { name: name.into(), expires_at })
        });
        let certificates = certificates.collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    fn get(&self) -> Vec<Certificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A gateway, as it is asked about.
#[derive(Debug)]
pub(crate) struct GatewaySubject {
    process: Process,
    gateway: Watched,
    addresses: Addresses,
    expiries: Arc<Expiries>,
    recent: Arc<Recent>,
}

impl GatewaySubject {
    /// Of a gateway that runs.
    pub(crate) fn new(gateway: &Gateway, expiries: Arc<Expiries>, recent: Arc<Recent>) -> Self {
        Self {
            process: Process::starts(),
            addresses: gateway.addresses().clone(),
            gateway: gateway.watched(),
            expiries,
            recent,
        }
    }
}

impl Told for GatewaySubject {
    const NAME: &'static str = "gateway";
}

impl Subject for GatewaySubject {
    fn readiness(&self) -> Readiness {
        if self.gateway.is_draining() {
            return Readiness::NotReady("the gateway is shutting down".into());
        }
        if self.gateway.is_listening() {
            return Readiness::Ready;
        }
        Readiness::NotReady("a listener has ended, as the log says; restart the gateway".into())
    }

    fn metrics(&self, page: &mut Page) {
        let figures = self.gateway.figures();
        figures::build(page, Self::NAME, &self.readiness(), &self.recent);
        figures::tunnels(page, &figures.tunnels);
        figures::opens(page, &figures.opens);
        let sessions = figures.sessions.iter();
        figures::quality(page, sessions.map(|session| (&*session.group, session.stats)));
        groups::write(page, &figures.groups, figures.sessions.iter(), figures.ports.iter());
        users(page, &figures);
        flows(page, &figures);
        let certificates = self.expiries.get();
        let certificates = certificates.iter().map(|it| {
            let at = u64::try_from(it.expires_at).unwrap_or_default();
            ([it.name.as_str()], at.into())
        });
        page.family(&catalogue::CERTIFICATE, certificates);
        self.process.write(page);
    }

    fn status(&self) -> Status {
        let figures = self.gateway.figures();
        Status {
            listeners: listeners(&self.addresses),
            sessions: figures.sessions.iter().map(session).collect(),
            forwards: figures.ports.iter().map(forward).collect(),
            certificates: self.expiries.get(),
            ..figures::status(Self::NAME, &self.process, self.readiness(), &self.recent)
        }
    }
}

fn users(page: &mut Page, figures: &GatewayFigures) {
    let refused =
        figures.no_session.iter().map(|(why, count)| ([why.to_string()], (*count).into()));
    page.family(&catalogue::HANDSHAKES_FAILED, refused);
    page.single(&catalogue::USERS, figures.users);
    page.single(&catalogue::TURNED_AWAY, figures.turned_away);
    page.single(&catalogue::ACCEPT_FAILURES, figures.accept_failures);
    let FailedLoginFigures { wrong, busy } = figures.failed_logins;
    let failed = [(["wrong"], wrong.into()), (["busy"], busy.into())];
    page.family(&catalogue::LOGINS_FAILED, failed);
    page.single(&catalogue::PASSWORD_HASHES, figures.passwords.runs);
}

fn flows(page: &mut Page, figures: &GatewayFigures) {
    page.single(&catalogue::FLOWS_OPENED, figures.flows.opened);
    page.single(&catalogue::DATAGRAMS_RECEIVED, figures.flows.from_users);
    page.single(&catalogue::DATAGRAMS_SENT, figures.flows.to_users);
    // By name, so that none is forgotten.
    let DroppedDatagrams {
        queue_full,
        too_many_flows,
        not_ready,
        fragment,
        malformed,
        refused,
        wrong_peer,
        ended,
        unsent,
    } = figures.flows.dropped;
    let dropped = [
        (["queue_full"], queue_full),
        (["too_many_flows"], too_many_flows),
        (["not_ready"], not_ready),
        (["fragment"], fragment),
        (["malformed"], malformed),
        (["refused"], refused),
        (["wrong_peer"], wrong_peer),
        (["ended"], ended),
        (["unsent"], unsent),
    ];
    page.family(&catalogue::DATAGRAMS_DROPPED, dropped.map(|(reason, it)| (reason, it.into())));
}

fn listeners(addresses: &Addresses) -> Vec<Listener> {
    let Addresses { tunnels, http, https, socks5, mixed } = addresses;
    let tunnels = std::slice::from_ref(tunnels);
    let all = [
        ("tunnels", tunnels),
        ("http", http),
        ("https", https),
        ("socks5", socks5),
        ("mixed", mixed),
    ];
    let listener = |name: &str, addr: &std::net::SocketAddr| Listener {
        name: name.into(),
        address: addr.to_string(),
    };
    all.iter().flat_map(|(name, addrs)| addrs.iter().map(|addr| listener(name, addr))).collect()
}

fn session(figures: &SessionFigures) -> Session {
    let state = match (figures.is_leaving, figures.is_silent) {
        (true, _) => "leaving",
        (false, true) => "silent",
        (false, false) => "up",
    };
    Session {
        id: figures.id.to_string(),
        group: figures.group.to_string(),
        client: figures.client.clone(),
        replica: figures.replica,
        peer: figures.peer.to_string(),
        transport: figures.transport.to_string(),
        why: None,
        state: state.into(),
        since_seconds: figures.since.as_secs_f64(),
        rtt_seconds: rtt(&figures.stats),
        loss_ratio: loss(&figures.stats),
        sent_bytes: figures.stats.sent,
        received_bytes: figures.stats.received,
        sending_bytes_per_second: None,
        receiving_bytes_per_second: None,
        connections: figures.connections,
        moves: figures.moves,
        stalled_bytes: figures.stalled,
    }
}

fn forward(figures: &PortFigures) -> Forward {
    Forward {
        name: None,
        group: figures.group.to_string(),
        protocol: protocol_name(figures.protocol).into(),
        listen: figures.addr.to_string(),
        target: None,
        state: "open".into(),
        error: None,
    }
}

/// As the settings have it.
pub(super) fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    }
}
