//! What a client says about its former session when it comes back (Conformance case 19).

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Client, State};
use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    lab::{Certificates, Options, SECRET, Site, client_config, connected},
    party::{Party, ping, replicas_up},
    target, wait,
};
use anyproxy_transport::{
    Greeting, Identity, ListenConfig, Offer, OldestTls, Side, StallBudget, StreamIds, Transport,
    Tunnel, TunnelLimits, TunnelListener,
};
use anyproxy_wire::{
    codes::CloseCode,
    handshake::{METHOD_SECRET, Secret, Verifier, gateway_proof},
    message::{DEFAULT_CREDIT, Hello, Intent, Welcome},
};
use tokio::time::{Instant, sleep};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
/// The shortest pause when only a person can help.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// A gateway that does as the test says.
struct Script {
    listener: TunnelListener,
    scope: Scope,
}

impl Script {
    fn start(site: &Site, certificates: &Certificates) -> Self {
        let (chain, key) = (certificates.chain.as_bytes(), certificates.key.as_bytes());
        let config = ListenConfig {
            addr: SocketAddr::new(site.gateway_ip, 0),
            offer: Offer::Both,
            identity: Identity::from_pem(chain, key).unwrap(),
            path: "/anyproxy".into(),
            oldest_tls: OldestTls::Tls13,
            dead_after: 30 * SECOND,
            behind: anyproxy_transport::Behind::default(),
            congestion: anyproxy_transport::Congestion::default(),
        };
        let listener = TunnelListener::bind(&*site.gateway, &config).unwrap();
        Self { listener, scope: Scope::root("script") }
    }

    async fn greet(&self) -> (Hello, Greeting) {
        let arrival = self.listener.accept().await;
        let greeting = arrival.greet(Deadline::after(10 * SECOND)).await.unwrap();
        (greeting.hello().clone(), greeting)
    }

    async fn welcome(&self, greeting: Greeting, generation: u64) -> Tunnel {
        let client = greeting.challenge(&[METHOD_SECRET]).await.unwrap();
        let verifier = Verifier::from_secret(&Secret::new(SECRET));
        let welcome = Welcome {
            session: [1; 16],
            tunnel: 0,
            proof: Some(gateway_proof(&verifier, client.transcript())),
            generation,
            initial_credit: DEFAULT_CREDIT,
            max_streams: 16,
            ping_interval: 10 * SECOND,
            dead_after: 30 * SECOND,
            join_key: [2; 32],
            software: String::new(),
        };
        let limits = TunnelLimits {
            max_streams: 16,
            budget: StallBudget::new(1 << 20),
            ids: StreamIds::new(Side::Gateway),
        };
        client.welcome(welcome, limits, &self.scope).await.unwrap()
    }
}

/// The client waits, gives this reason, and not before `pause` comes the next Hello.
async fn waits(client: &Client, script: &Script, pause: Duration, why: &str) -> (Hello, Greeting) {
    let mut state = client.state();
    let began = Instant::now();
    let waiting = state.wait_for(|state| matches!(state, State::Waiting(_))).await.unwrap().clone();
    let State::Waiting(reason) = waiting else { unreachable!() };
    assert!(reason.contains(why), "{reason:?} says nothing of {why:?}");
    let next = script.greet().await;
    assert!(began.elapsed() >= pause, "{:?} after {reason}", began.elapsed());
    next
}

async fn a_reconnect_names_the_session_that_it_replaces(transport: Transport) {
    let (site, _world) = Site::simulated();
    let certificates = Certificates::new(&["gateway.test"]);
    let script = Script::start(&site, &certificates);
    let addr = script.listener.local_addr();
    let config = client_config(&site, &Options::new(transport), &certificates, addr);
    let client = Client::start(config, site.client.clone(), SECOND).unwrap();

    // Nothing is known of an earlier session, however often nobody answers.
    let (hello, greeting) = script.greet().await;
    assert_eq!(hello.intent, Intent::New);
    greeting.refuse(CloseCode::OverLimit, "too many sessions", Duration::ZERO).await;
    let (hello, greeting) = script.greet().await;
    assert_eq!(hello.intent, Intent::New);

    let tunnel = script.welcome(greeting, 41).await;
    connected(&client).await;
    tunnel.close(CloseCode::Shutdown, "the gateway is shutting down");
    let (hello, greeting) = script.greet().await;
    assert_eq!(hello.intent, Intent::Supersede { generation: 41 });

    // The latest Welcome counts; a gateway that has started again counts from the beginning.
    let tunnel = script.welcome(greeting, 3).await;
    connected(&client).await;
    tunnel.close(CloseCode::Superseded, "the same client connected again");
    let (hello, greeting) = waits(&client, &script, REFUSED_PAUSE, "its own client_id").await;
    assert_eq!(hello.intent, Intent::Supersede { generation: 3 });
    greeting.refuse(CloseCode::Superseded, "a newer session is up", Duration::ZERO).await;
    let (hello, greeting) = waits(&client, &script, REFUSED_PAUSE, "its own client_id").await;
    assert_eq!(hello.intent, Intent::Supersede { generation: 3 }, "it does not start anew");

    // A gateway that wants nothing of it.
    greeting.refuse(CloseCode::NoSuchSession, "no such session", Duration::ZERO).await;
    let (hello, _greeting) = waits(&client, &script, Duration::ZERO, "no such session").await;
    assert_eq!(hello.intent, Intent::New);
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_names_the_session_that_it_replaces_over_quic() {
    a_reconnect_names_the_session_that_it_replaces(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_names_the_session_that_it_replaces_over_websocket() {
    a_reconnect_names_the_session_that_it_replaces(Transport::WebSocket).await;
}

/// The numbers of a gateway that was started again are lower than those that its clients remember.
async fn a_gateway_that_counts_anew_takes_its_clients_back(transport: Transport) {
    let (site, _world) = Site::simulated();
    let target = target::echo(&site);
    let mut party = Party::start(site, Options::new(transport));
    // Others use up the low numbers.
    for number in 0..5 {
        let early = party.client(party.config(&format!("early {number}")));
        connected(&early).await;
        early.shutdown(Duration::ZERO).await;
    }
    let mut config = party.config("many");
    config.replicas = 3;
    config.forwards = vec![party.any_port(target)];
    let client = party.client(config);
    replicas_up(&client, 3).await;
    for _ in 0..2 {
        party = party.restart().await;
        let lost = |state: &State| !matches!(state, State::Connected { .. });
        client.state().wait_for(lost).await.unwrap();
        replicas_up(&client, 3).await;
        assert_eq!(party.gateway.sessions(), 3);
        let port = connected(&client).await[0];
        ping(&mut party.user(port).await).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_counts_anew_takes_its_clients_back_over_quic() {
    a_gateway_that_counts_anew_takes_its_clients_back(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_counts_anew_takes_its_clients_back_over_websocket() {
    a_gateway_that_counts_anew_takes_its_clients_back(Transport::WebSocket).await;
}

/// Two processes under one name: the later one stays, the earlier one knows why, and takes over when
/// the later one is gone.
async fn two_processes_of_one_name_do_not_take_turns(transport: Transport) {
    let (site, world) = Site::simulated();
    let party = Party::start(site, Options::new(transport));
    let earlier = party.client(party.config("same"));
    connected(&earlier).await;
    let elsewhere = world.host("elsewhere", [198, 18, 0, 5].into()).net();
    let later = party.client_at(elsewhere, party.config("same"));
    connected(&later).await;
    let mut stays = later.state();
    stays.mark_unchanged();
    let mut state = earlier.state();
    let told = |state: &State| matches!(state, State::Waiting(why) if why.contains("client_id"));
    state.wait_for(told).await.unwrap();
    sleep(HOUR).await;
    assert!(!stays.has_changed().unwrap(), "the later one was never disturbed");
    assert!(!matches!(*state.borrow(), State::Connected { .. }));
    assert_eq!(party.gateway.sessions(), 1);
    later.shutdown(Duration::ZERO).await;
    connected(&earlier).await;
    wait::until(&party.site, || party.gateway.sessions() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn two_processes_of_one_name_do_not_take_turns_over_quic() {
    two_processes_of_one_name_do_not_take_turns(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn two_processes_of_one_name_do_not_take_turns_over_websocket() {
    two_processes_of_one_name_do_not_take_turns(Transport::WebSocket).await;
}
