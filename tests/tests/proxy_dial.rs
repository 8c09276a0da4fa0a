//! A client whose only way out is an HTTP proxy, over the simulated network (FAULTS 41, 42).
//!
//! ```text
//! user ─▶ gateway ══ tunnel ══ proxy (scripted) ══ client ─▶ target
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure is the test's result"
)]

#[path = "proxy_dial/scripted.rs"]
mod scripted;

use std::{sync::Arc, time::Duration};

use anyproxy_client::{Client, State};
use anyproxy_gateway::Gateway;
use anyproxy_runtime::Deadline;
use anyproxy_tests::{
    lab::{self, Certificates, Options, Site},
    net::{Host, Switch, World},
    target,
};
use anyproxy_transport::{
    Connected, DialConfig, DialError, Dialer, HttpProxy, OldestTls, ProxyError, ProxyLogin,
    ProxyScheme, Route, Transport, Trust, net::Role,
};
use anyproxy_wire::handshake::Secret;
use scripted::{Script, Scripted};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

/// What only the proxy's name server knows.
const GATEWAY: &str = "gw.outside.test";
const PROXY: &str = "proxy.corp.test";
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "p:ssword of the proxy";

struct Office {
    site: Site,
    world: World,
    certificates: Certificates,
    options: Options,
    gateway: Gateway,
    proxy: Host,
    client: Host,
}

impl Office {
    fn new() -> Self {
        let (mut site, world) = Site::simulated();
        let ip = |last| [198, 18, 0, last].into();
        let proxy = world.host("proxy", ip(9));
        let client = world.host("office", ip(10));
        site.client = client.net();
        proxy.name(GATEWAY, &[site.gateway_ip]);
        client.name(PROXY, &[ip(9)]);
        let target = target::echo(&site);
        let options = Options::new(Transport::WebSocket).one_connection().forwards(&[target]);
        let certificates = Certificates::new(&["gateway.test"]);
        let gateway = lab::start_gateway(&site, &options, &certificates);
        Self { site, world, certificates, options, gateway, proxy, client }
    }

    fn proxy(&self, script: Script) -> Scripted {
        Scripted::start(self.proxy.net(), "198.18.0.9:3128".parse().unwrap(), script)
    }

    /// What a person would have in the client's file.
    fn config(&self, login: Option<(&str, &str)>) -> DialConfig {
        let login = login.map(|(user, password)| ProxyLogin {
            user: user.into(),
            password: Secret::new(password),
        });
        let (host, scheme) = (PROXY.to_owned(), ProxyScheme::Http);
        DialConfig {
            host: GATEWAY.into(),
            port: self.gateway.addresses().tunnels.port(),
            server_name: Some("gateway.test".into()),
            trust: Trust::from_ca_pem(self.certificates.ca.as_bytes()).unwrap(),
            certificate: None,
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            route: Route { proxy: Some(HttpProxy { host, port: 3128, scheme, login }), host: None },
            congestion: anyproxy_transport::Congestion::default(),
        }
    }

    async fn dial(&self, config: DialConfig) -> Result<Connected, DialError> {
        let dialer = Dialer::new(self.site.client.clone(), config).unwrap();
        dialer.dial(Transport::WebSocket, Deadline::after(PATIENCE)).await
    }

    /// How dialling fails, in words and as the proxy's error.
    async fn refusal(&self, login: Option<(&str, &str)>) -> (String, ProxyError) {
        let error = self.dial(self.config(login)).await.map(|_| ()).unwrap_err();
        let text = error.to_string();
        let place = format!("{GATEWAY}:{}", self.gateway.addresses().tunnels.port());
        let start = format!("cannot connect to {place} through the proxy http://{PROXY}:3128: it");
        assert!(text.starts_with(&start) || text.contains("HTTP"), "{text}");
        assert!(!format!("{text} {error:?}").contains("ssword of"), "{error:?}");
        let DialError::Proxy { source, .. } = error else { panic!("{error}") };
        (text, source)
    }

    fn start(&self, gateway: DialConfig) -> Client {
        let addr = self.gateway.addresses().tunnels;
        let mut config = lab::client_config(&self.site, &self.options, &self.certificates, addr);
        config.gateway = gateway;
        Client::start(config, self.site.client.clone(), Duration::from_secs(10)).unwrap()
    }

    /// A session comes about, and a user reaches the target.
    async fn works(&self, client: &Client) {
        let ports = tokio::time::timeout(PATIENCE, lab::connected(client)).await.unwrap();
        let mut user = self.site.user.connect(ports[0], Role::Proxied).await.unwrap();
        user.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        user.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_through_the_proxy_and_no_look_up_of_the_gateway() {
    let office = Office::new();
    let proxy = office.proxy(Script::pass());
    // Nothing but the proxy is in reach.
    office.world.link(office.client.ip(), office.site.gateway_ip).black_hole(Switch::On);
    let client = office.start(office.config(None));
    office.works(&client).await;
    let port = office.gateway.addresses().tunnels.port();
    let target = format!("{GATEWAY}:{port}");
    let expected = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    assert_eq!(proxy.heads(), [expected]);
    assert_eq!(office.client.lookups(), [PROXY]);
}

#[tokio::test(start_paused = true)]
async fn with_a_user_and_a_password() {
    let office = Office::new();
    let _proxy = office.proxy(Script::Pass { login: Some(("me", PASSWORD)), idle: PATIENCE });
    let client = office.start(office.config(Some(("me", PASSWORD))));
    office.works(&client).await;
}

#[tokio::test(start_paused = true)]
async fn a_407_says_whether_the_password_is_missing_or_wrong() {
    let office = Office::new();
    let _proxy = office.proxy(Script::Pass { login: Some(("me", PASSWORD)), idle: PATIENCE });
    let (text, error) = office.refusal(None).await;
    assert!(matches!(error, ProxyError::LoginWanted(_)), "{text}");
    assert!(text.contains("407 Proxy Authentication Required"), "{text}");
    assert!(text.contains("`proxy_password_file`"), "{text}");
    let (text, error) = office.refusal(Some(("me", "another ssword of me"))).await;
    assert!(matches!(error, ProxyError::LoginRefused { status: 407, .. }), "{text}");
    assert!(text.contains("407") && text.contains("check"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_a_proxy_says_is_told_with_what_to_do() {
    for (answer, told) in [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 1\r\n\r\nx", "(403 Forbidden): have the"),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "cannot reach the gateway (502 Bad Gateway)"),
        ("HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n", "NTLM): run a relay"),
        ("HTTP/1.0 501 Not Implemented\r\n\r\n", "it answered 501 Not Implemented"),
        ("HTTP/1.1 301 Log in\r\nLocation: http://portal/\r\n\r\n", "it answered 301 Log in"),
        ("SSH-2.0-OpenSSH_9.9\r\n", "is no HTTP: is it an HTTP proxy?"),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "is no HTTP"),
    ] {
        let office = Office::new();
        let _proxy = office.proxy(Script::Say(answer));
        let (text, _) = office.refusal(None).await;
        assert!(text.contains(told), "{answer}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_hangs_is_given_up_at_the_deadline() {
    let office = Office::new();
    let _proxy = office.proxy(Script::Hang);
    let began = Instant::now();
    let (_, error) = office.refusal(None).await;
    assert!(matches!(error, ProxyError::TimedOut));
    assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn an_endless_head_ends() {
    let office = Office::new();
    let _proxy = office.proxy(Script::Flood);
    let began = Instant::now();
    let (text, _) = office.refusal(None).await;
    assert!(text.contains("too large"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_closes_or_is_not_there_is_named() {
    let office = Office::new();
    let (text, error) = office.refusal(None).await;
    assert!(matches!(error, ProxyError::Connect(_)), "{text}");
    let _proxy = office.proxy(Script::Close);
    let (text, error) = office.refusal(None).await;
    assert!(matches!(error, ProxyError::Closed), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_client_goes_on_trying_and_gets_through_when_the_proxy_lets_it() {
    let office = Office::new();
    let proxy = office.proxy(Script::Say("HTTP/1.1 403 Forbidden\r\n\r\n"));
    let client = office.start(office.config(None));
    let mut state = client.state();
    let waiting = |state: &State| matches!(state, State::Waiting(why) if why.contains("403"));
    tokio::time::timeout(PATIENCE, state.wait_for(waiting)).await.unwrap().unwrap();
    drop(state);
    proxy.now(Script::pass());
    office.works(&client).await;
}

/// Bytes flow in both directions at least every 10 s, so a proxy that cuts idle connections after
/// 15 s never does.
#[tokio::test(start_paused = true)]
async fn an_idle_session_outlives_a_proxy_that_cuts_idle_connections() {
    let office = Office::new();
    let idle = Duration::from_secs(15);
    let proxy = office.proxy(Script::Pass { login: None, idle });
    let client = office.start(office.config(None));
    office.works(&client).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    office.works(&client).await;
    assert_eq!(proxy.heads().len(), 1, "it was dialled once");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_inspects_tls_is_let_in_only_if_its_ca_is_trusted() {
    let office = Office::new();
    let inspector = Certificates::new(&["gateway.test"]);
    let _proxy = office.proxy(Script::Inspect(Arc::new(scripted::Inspector::new(
        &inspector,
        &office.certificates,
    ))));
    let error = office.dial(office.config(None)).await.map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, DialError::Through { .. }), "{text}");
    assert!(text.contains(&format!("through the proxy http://{PROXY}:3128")), "{text}");
    assert!(text.contains("`extra_ca`"), "{text}");

    let mut config = office.config(None);
    config.trust = config.trust.and_ca_pem(inspector.ca.as_bytes()).unwrap();
    let client = office.start(config);
    office.works(&client).await;
}

#[tokio::test(start_paused = true)]
async fn a_pin_never_takes_an_inspecting_proxy_for_the_gateway() {
    let office = Office::new();
    let inspector = Certificates::new(&["gateway.test"]);
    let _proxy = office.proxy(Script::Inspect(Arc::new(scripted::Inspector::new(
        &inspector,
        &office.certificates,
    ))));
    let mut config = office.config(None);
    config.trust = Trust::Pin(format!("sha256:{}", "00".repeat(32)).parse().unwrap());
    let error = office.dial(config.clone()).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no pin can hold"), "{error}");
    assert!(config.trust.and_ca_pem(inspector.ca.as_bytes()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_proxy_behind_tls() {
    let office = Office::new();
    let its = Certificates::new(&[PROXY]);
    let acceptor = scripted::acceptor(&its);
    let _proxy = office.proxy(Script::BehindTls(acceptor));
    let mut config = office.config(Some(("me", PASSWORD)));
    let trusted = Trust::from_ca_pem(its.ca.as_bytes()).unwrap();
    config.route.proxy.as_mut().unwrap().scheme = ProxyScheme::Https(trusted);
    let client = office.start(config.clone());
    office.works(&client).await;

    // The gateway's CA says nothing about the proxy.
    let other = Trust::from_ca_pem(office.certificates.ca.as_bytes()).unwrap();
    config.route.proxy.as_mut().unwrap().scheme = ProxyScheme::Https(other);
    let error = office.dial(config).await.map(|_| ()).unwrap_err();
    assert!(matches!(&error, DialError::Proxy { source: ProxyError::Tls(_), .. }), "{error}");
    assert!(error.to_string().contains(&format!("https://{PROXY}:3128: no TLS with it")));
}
