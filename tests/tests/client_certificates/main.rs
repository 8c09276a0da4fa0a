//! Clients that prove themselves with a certificate, over both transports.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

mod front;
mod hostile;
mod papers;

use std::time::Duration;

use anyproxy_client::{Choice, Client, State};
use anyproxy_gateway::{Gateway, GroupConfig};
use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    everywhere,
    groups::group,
    lab::{self, Certificates, GROUP, Options, SECRET, Site},
    party::ping,
    target, wait,
};
use anyproxy_transport::{
    DialConfig, Dialer, JoinKey, Login, LoginError, Method, OwnCertificate, StallBudget, Transport,
    Tunnel, net::Role,
};
use anyproxy_wire::{
    codes::CloseCode,
    handshake::Secret,
    message::{DEFAULT_CREDIT, Intent, Welcome},
};
use papers::Authority;
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const BOTH: [Transport; 2] = [Transport::Quic, Transport::WebSocket];
/// The group that has both a secret and a CA.
const MIXED: &str = GROUP;
/// The group that has a CA, and a secret that nobody knows.
const OFFICE: &str = "office";

struct Stage {
    site: Site,
    gateway: Gateway,
    certificates: Certificates,
    scope: Scope,
    /// The CA of each group.
    mixed: Authority,
    office: Authority,
}

type LoggedIn = Result<(Tunnel, Welcome), LoginError>;

impl Stage {
    fn new() -> Self {
        Self::at(Site::simulated().0)
    }

    fn at(site: Site) -> Self {
        let certificates = Certificates::new(&["gateway.test"]);
        let gateway = lab::start_gateway(&site, &Options::new(Transport::Quic), &certificates);
        let (mixed, office) = (Authority::new("mixed"), Authority::new("office"));
        let stage = Self { site, gateway, certificates, scope: Scope::root("test"), mixed, office };
        stage.gateway.set_groups(&stage.groups());
        stage
    }

    /// One with both, one with a CA alone, one without.
    fn groups(&self) -> [GroupConfig; 3] {
        let mut groups =
            [group(MIXED, SECRET), group(OFFICE, "nobody knows"), group("bare", SECRET)];
        groups[0].client_ca = self.mixed.trusted();
        groups[1].client_ca = self.office.trusted();
        groups
    }

    fn dial_config(&self, certificate: Option<OwnCertificate>) -> DialConfig {
        let options = Options::new(Transport::Quic);
        let at = self.gateway.addresses().tunnels;
        let client = lab::client_config(&self.site, &options, &self.certificates, at);
        DialConfig { certificate, ..client.gateway }
    }

    fn dialer(&self, certificate: Option<OwnCertificate>) -> Dialer {
        Dialer::new(self.site.client.clone(), self.dial_config(certificate)).unwrap()
    }

    async fn log_in_by(&self, dialer: &Dialer, transport: Transport, login: &Login) -> LoggedIn {
        let deadline = Deadline::after(Duration::from_secs(60));
        let connected = dialer.dial(transport, deadline).await.unwrap();
        connected.log_in(login, deadline, &self.scope).await
    }

    async fn log_in(
        &self,
        transport: Transport,
        certificate: &OwnCertificate,
        login: &Login,
    ) -> LoggedIn {
        let dialer = self.dialer(Some(certificate.clone()));
        self.log_in_by(&dialer, transport, login).await
    }

    async fn sessions(&self, count: usize) {
        wait::until(&self.site, || self.gateway.sessions() == count).await;
    }
}

fn login(group: &str, id: &str) -> Login {
    Login {
        group: group.into(),
        client_id: id.into(),
        instance: [3; 16],
        replica: 0,
        intent: Intent::New,
        join_key: None,
        ping_within: None,
        secret: Secret::new([]),
        method: Method::Certificate,
        initial_credit: DEFAULT_CREDIT,
        budget: StallBudget::new(64 << 20),
    }
}

fn by_secret(group: &str, id: &str) -> Login {
    Login { secret: Secret::new(SECRET), method: Method::Secret, ..login(group, id) }
}

fn reason(result: LoggedIn) -> (CloseCode, String) {
    match result {
        Err(LoginError::Refused(refuse)) => (refuse.code, refuse.reason),
        other => panic!("{other:?}"),
    }
}

fn unauthorised(result: LoggedIn, words: &str) {
    let (code, why) = reason(result);
    assert_eq!(code, CloseCode::Unauthorised, "{why}");
    assert!(why.contains(words), "{why}");
    assert!(why.len() <= 256, "{why}");
}

#[tokio::test(start_paused = true)]
async fn certificates_and_secrets_get_in_side_by_side() {
    for transport in BOTH {
        let stage = Stage::new();
        let (laptop, desk) = (stage.mixed.client("laptop"), stage.office.client("desk"));
        let plain = stage.dialer(None);
        let _sessions = [
            stage.log_in(transport, &laptop, &login(MIXED, "laptop")).await.unwrap(),
            stage.log_in(transport, &desk, &login(OFFICE, "desk")).await.unwrap(),
            stage.log_in_by(&plain, transport, &by_secret(MIXED, "old")).await.unwrap(),
            stage.log_in_by(&plain, transport, &by_secret("bare", "old")).await.unwrap(),
            // It shows one because the gateway asks, and proves the secret.
            stage.log_in(transport, &desk, &by_secret("bare", "both")).await.unwrap(),
        ];
        stage.sessions(5).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_certificate_is_told() {
    for transport in BOTH {
        let stage = Stage::new();
        let namesake = Authority::new("office");
        let over = |params: &mut rcgen::CertificateParams| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        };
        let early = |params: &mut rcgen::CertificateParams| {
            params.not_before = date_time_ymd(4000, 1, 1);
        };
        let serves = |params: &mut rcgen::CertificateParams| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        };
        let (office, issuer) = (&stage.office, "not issued by a CA of this group (client_ca)");
        for (certificate, group, words) in [
            (office.issue("desk", over), OFFICE, "has expired: renew it"),
            (office.issue("desk", early), OFFICE, "not valid yet: set the clocks"),
            (office.issue("desk", serves), OFFICE, "extendedKeyUsage = clientAuth"),
            (namesake.client("desk"), OFFICE, issuer),
            // Of another group, of one without a CA, of one that is not there: all alike.
            (stage.mixed.client("desk"), OFFICE, issuer),
            (office.client("desk"), MIXED, issuer),
            (office.client("desk"), "bare", issuer),
            (office.client("desk"), "nobody", issuer),
        ] {
            unauthorised(stage.log_in(transport, &certificate, &login(group, "desk")).await, words);
        }
        assert_eq!(stage.gateway.sessions(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_certificate_a_group_that_has_no_secret_lets_nobody_in() {
    for transport in BOTH {
        let stage = Stage::new();
        let plain = stage.dialer(None);
        let shown = stage.log_in_by(&plain, transport, &login(OFFICE, "desk")).await;
        unauthorised(shown, "no client certificate came with this connection");
        let secret = stage.log_in_by(&plain, transport, &by_secret(OFFICE, "desk")).await;
        unauthorised(secret, "wrong group or secret");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_comes_to_ask_is_answered_by_who_was_there_before() {
    for transport in BOTH {
        let stage = Stage::new();
        let dialer = stage.dialer(Some(stage.office.client("desk")));
        stage.gateway.set_groups(&[group(MIXED, SECRET), group(OFFICE, "nobody knows")]);
        // Twice, with what TLS keeps of the first connection.
        for _ in 0..2 {
            let shown = stage.log_in_by(&dialer, transport, &login(OFFICE, "desk")).await;
            unauthorised(shown, "no group of this gateway has `client_ca`");
        }
        stage.gateway.set_groups(&stage.groups());
        stage.log_in_by(&dialer, transport, &login(OFFICE, "desk")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_removed_ends_its_sessions_and_no_other() {
    for transport in BOTH {
        let stage = Stage::new();
        let (laptop, desk) = (stage.mixed.client("laptop"), stage.office.client("desk"));
        let (gone, _) = stage.log_in(transport, &desk, &login(OFFICE, "desk")).await.unwrap();
        let (stays, _) = stage.log_in(transport, &laptop, &login(MIXED, "laptop")).await.unwrap();
        let plain = stage.dialer(None);
        let (old, _) = stage.log_in_by(&plain, transport, &by_secret(MIXED, "old")).await.unwrap();
        stage.sessions(3).await;
        // The same again, and one CA more: nothing is dropped.
        let mut groups = stage.groups();
        stage.gateway.set_groups(&groups);
        let other = Authority::new("other");
        let (office, mixed) = (stage.office.trusted(), stage.mixed.trusted());
        groups[2].client_ca = other.trusted();
        stage.gateway.set_groups(&groups);
        assert_eq!(stage.gateway.sessions(), 3);
        for changed in [other.trusted(), None] {
            groups[1].client_ca = changed;
            stage.gateway.set_groups(&groups);
            assert_eq!(stage.gateway.sessions(), 2);
            wait::until(&stage.site, || gone.is_closed()).await;
            let issuer = "not issued by a CA of this group";
            unauthorised(stage.log_in(transport, &desk, &login(OFFICE, "desk")).await, issuer);
        }
        assert_eq!(gone.closed().await.code(), Some(CloseCode::Unauthorised));
        assert!(!stays.is_closed() && !old.is_closed());
        // As it was before, and it is let in again.
        groups[1].client_ca = office;
        groups[0].client_ca = mixed;
        stage.gateway.set_groups(&groups);
        stage.log_in(transport, &desk, &login(OFFICE, "desk")).await.unwrap();
        assert!(!stays.is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_certificate_ends_its_session() {
    for transport in BOTH {
        let stage = Stage::new();
        let desk = stage.office.client("desk");
        let (gone, _) = stage.log_in(transport, &desk, &login(OFFICE, "desk")).await.unwrap();
        stage.sessions(1).await;
        let mut groups = stage.groups();
        groups[1].client_ca = stage.office.revoking();
        stage.gateway.set_groups(&groups);
        assert_eq!(stage.gateway.sessions(), 0);
        wait::until(&stage.site, || gone.is_closed()).await;
        let again = stage.log_in(transport, &desk, &login(OFFICE, "desk")).await;
        unauthorised(again, "was revoked by its CA");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_tunnel_joins_with_the_same_subject_alone() {
    for transport in BOTH {
        let stage = Stage::new();
        let desk = stage.mixed.client("desk");
        let (_first, welcome) =
            stage.log_in(transport, &desk, &login(MIXED, "desk")).await.unwrap();
        let (intent, join_key) =
            (Intent::Join { session: welcome.session }, Some(JoinKey::of(&welcome)));
        let join = Login { intent, join_key, ..login(MIXED, "desk") };
        let other = stage.mixed.client("other");
        let (code, _) = reason(stage.log_in(transport, &other, &join).await);
        assert_eq!(code, CloseCode::NoSuchSession);
        let (secret, method) = (Secret::new(SECRET), Method::Secret);
        let member = Login { secret, method, ..join.clone() };
        let (code, _) = reason(stage.log_in(transport, &desk, &member).await);
        assert_eq!(code, CloseCode::NoSuchSession);
        let none = stage.log_in_by(&stage.dialer(None), transport, &join).await;
        unauthorised(none, "no client certificate");
        let over = stage.mixed.issue("desk", |params| params.not_after = date_time_ymd(2021, 1, 1));
        unauthorised(stage.log_in(transport, &over, &join).await, "has expired");
        // It was renewed meanwhile.
        let renewed = stage.mixed.client("desk");
        for certificate in [&desk, &renewed] {
            let (_, again) = stage.log_in(transport, certificate, &join).await.unwrap();
            assert_eq!(again.session, welcome.session);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_in_use_is_had_by_the_same_subject_alone() {
    for transport in BOTH {
        let stage = Stage::new();
        let desk = stage.mixed.client("desk");
        let (tunnel, _) = stage.log_in(transport, &desk, &login(MIXED, "desk")).await.unwrap();
        let other = stage.mixed.client("other");
        let by_other = stage.log_in(transport, &other, &login(MIXED, "desk")).await;
        let member = stage.log_in(transport, &other, &by_secret(MIXED, "desk")).await;
        for refused in [by_other, member] {
            let (code, why) = reason(refused);
            assert_eq!(code, CloseCode::Superseded);
            assert!(why.contains("another key or certificate"), "{why}");
        }
        assert!(!tunnel.is_closed());
        let renewed = stage.mixed.client("desk");
        let _again = stage.log_in(transport, &renewed, &login(MIXED, "desk")).await.unwrap();
        wait::until(&stage.site, || tunnel.is_closed()).await;
    }
}

/// A certificate that whatever ends TLS shows for itself is nobody's who comes through it.
#[tokio::test(start_paused = true)]
async fn no_certificate_passes_what_ends_tls() {
    let stage = Stage::new();
    let (at, ca) = (stage.gateway.addresses().tunnels, stage.office.ca());
    let own = Some(stage.office.pem("the reverse proxy"));
    let through = Transport::WebSocket;
    for (own, words) in [(own, "something that ends TLS"), (None, "something between ends TLS")] {
        let front = front::start(&stage.site, &stage.certificates, at, (&ca, own));
        let mut config = stage.dial_config(Some(stage.office.client("desk")));
        (config.host, config.port) = (front.ip().to_string(), front.port());
        let dialer = Dialer::new(stage.site.client.clone(), config).unwrap();
        let refused = stage.log_in_by(&dialer, through, &login(OFFICE, "desk")).await;
        unauthorised(refused, words);
        // A secret passes it, as ever.
        stage.log_in_by(&dialer, through, &by_secret(MIXED, "desk")).await.unwrap();
    }
}

/// A whole client, and a user's bytes through it.
async fn users_are_served_by_a_client_with_a_certificate(site: Site, transport: Transport) {
    let stage = Stage::at(site);
    let client = whole_client(&stage, transport.into(), None);
    let ports = lab::connected(&client).await;
    let mut user = stage.site.user.connect(ports[0], Role::Proxied).await.unwrap();
    ping(&mut user).await.unwrap();
}

everywhere!(users_are_served_by_a_client_with_a_certificate);

fn whole_client(stage: &Stage, choice: Choice, max_tunnel_age: Option<Duration>) -> Client {
    let mut options = Options::new(Transport::Quic).forwards(&[target::echo(&stage.site)]);
    options.client_limits.max_tunnel_age = max_tunnel_age;
    let at = stage.gateway.addresses().tunnels;
    let mut config = lab::client_config(&stage.site, &options, &stage.certificates, at);
    (config.group, config.method) = (OFFICE.into(), Method::Certificate);
    (config.transport, config.secret) = (choice, Secret::new([]));
    config.gateway.certificate = Some(stage.office.client("desk"));
    Client::start(config, stage.site.client.clone(), Duration::from_secs(10)).unwrap()
}

/// The session moves from tunnel to tunnel, each of which proves the certificate anew.
#[tokio::test(start_paused = true)]
async fn a_session_moves_with_its_certificate() {
    for choice in [Choice::Quic, Choice::WebSocket, Choice::Auto] {
        let stage = Stage::new();
        let client = whole_client(&stage, choice, Some(Duration::from_secs(20)));
        let ports = lab::connected(&client).await;
        let mut state = client.state();
        state.mark_unchanged();
        for _ in 0..120 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut user = stage.site.user.connect(ports[0], Role::Proxied).await.unwrap();
            ping(&mut user).await.unwrap();
            let lost = matches!(*state.borrow(), State::Connecting | State::Waiting(_));
            assert!(!lost, "{choice:?}: {:?}", *state.borrow());
        }
    }
}

/// What a client shows may be replaced while it runs.
#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_is_shown_by_the_same_client() {
    for transport in BOTH {
        let stage = Stage::new();
        let over =
            stage.office.issue("desk", |params| params.not_after = date_time_ymd(2021, 1, 1));
        let dialer = stage.dialer(Some(over.clone()));
        let expired = stage.log_in_by(&dialer, transport, &login(OFFICE, "desk")).await;
        unauthorised(expired, "has expired");
        over.set(&stage.office.identity("desk", |_| {})).unwrap();
        stage.log_in_by(&dialer, transport, &login(OFFICE, "desk")).await.unwrap();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Heard,
    Cut,
}

/// Each but the first ends in TLS, before a word is said, and the gateway serves on.
#[tokio::test(start_paused = true)]
async fn what_is_no_certificate_or_somebody_elses_ends_in_tls() {
    let stage = Stage::new();
    let at = stage.gateway.addresses().tunnels;
    let ((pem, key), (_, other)) = (stage.office.pem("desk"), stage.office.pem("thief"));
    let right = hostile::der(&pem);
    for (chain, key, outcome) in [
        (vec![right.clone()], &key, Outcome::Heard),
        (vec![right.clone()], &other, Outcome::Cut),
        (vec![b"no certificate".to_vec()], &key, Outcome::Cut),
        (vec![vec![]], &key, Outcome::Cut),
        (vec![right[..right.len() - 1].to_vec()], &key, Outcome::Cut),
        (vec![right.clone(); 9], &key, Outcome::Cut),
        (vec![right.clone(), vec![0x30; 17 << 10]], &key, Outcome::Cut),
    ] {
        let tls = hostile::tls(&stage.certificates.ca, b"http/1.1", (&chain, key));
        let conn = stage.site.client.connect(at, Role::Proxied).await.unwrap();
        let name = "gateway.test".try_into().unwrap();
        let mut tls = tokio_rustls::TlsConnector::from(tls).connect(name, conn).await.unwrap();
        // The client is through with TLS before the gateway looks at what it showed (RFC 8446, 4.4.4).
        let sent = tls.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut answer = vec![];
        let read = tls.read_to_end(&mut answer).await;
        if outcome == Outcome::Heard {
            assert!(
                answer.starts_with(b"HTTP/1.1 404"),
                "what is right gets as far as nothing does"
            );
            continue;
        }
        assert!(sent.is_err() || read.is_err(), "{:?}", String::from_utf8_lossy(&answer));
        assert_eq!(answer, b"");
    }
    let desk = stage.office.client("desk");
    for transport in BOTH {
        stage.log_in(transport, &desk, &login(OFFICE, "desk")).await.unwrap();
    }
}
