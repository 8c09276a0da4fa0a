//! Limits that hold against strangers, floods and unreachable targets.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    lab::{
        Certificates, GROUP, Lab, Options, SECRET, Site, connected, start_client, start_gateway,
    },
    net::Switch,
    target,
    user::{As, Way},
};
use anyproxy_transport::{
    ClosedBy, DialConfig, Dialer, Identity, ListenConfig, Login, Method, Offer, OldestTls, Side,
    StallBudget, StreamIds, Transport, Trust, Tunnel, TunnelError, TunnelLimits, TunnelListener,
    net::Role,
};
use anyproxy_wire::{
    codes::CloseCode,
    frame::Frame,
    handshake::{METHOD_SECRET, Secret, Verifier, gateway_proof},
    message::{DEFAULT_CREDIT, Goaway, Intent, Welcome},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// More strangers that say nothing than there are places for handshakes.
async fn silent_strangers_lose_their_places(transport: Transport) {
    let (site, _world) = Site::simulated();
    let certificates = Certificates::new(&["gateway.test"]);
    let mut options = Options::new(transport);
    options.limits.max_handshakes = 8;
    let gateway = start_gateway(&site, &options, &certificates);
    let addr = gateway.addresses().tunnels;
    let mut strangers = Vec::new();
    for _ in 0..50 {
        strangers.push(site.user.connect(addr, Role::Proxied).await.unwrap());
    }
    let client = start_client(&site, &options, &certificates, addr);
    let ready = Deadline::after(Duration::from_secs(5)).bound(connected(&client)).await;
    assert!(ready.is_ok(), "{:?}", client.state().borrow());
}

#[tokio::test(start_paused = true)]
async fn silent_strangers_lose_their_places_over_quic() {
    silent_strangers_lose_their_places(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn silent_strangers_lose_their_places_over_websocket() {
    silent_strangers_lose_their_places(Transport::WebSocket).await;
}

/// Opens that wait for a dead target hold no buffers, so they must not use the budget up.
async fn pending_dials_hold_nobody_up(transport: Transport) {
    let (site, world) = Site::simulated();
    let echo = target::echo(&site);
    let nowhere = SocketAddr::from(([198, 18, 0, 9], 80));
    world.link(std::net::Ipv4Addr::new(198, 18, 0, 2).into(), nowhere.ip()).black_hole(Switch::On);
    let mut options = Options::new(transport);
    // Room for four streams that stall.
    options.limits.stall_budget = 4 * DEFAULT_CREDIT;
    options.client_limits.stall_budget = 4 * DEFAULT_CREDIT;
    let lab = Arc::new(Lab::start(site, &options).await);
    for _ in 0..32 {
        let lab = Arc::clone(&lab);
        tokio::spawn(async move {
            let host = nowhere.ip().to_string();
            let _refused = lab.socks5_connect(&host, nowhere.port(), &As::default()).await;
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..8 {
        let mut conn = lab.connect(Way::Http, echo).await;
        conn.write_all(b"hello").await.unwrap();
        let mut got = [0; 5];
        conn.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"hello");
    }
}

#[tokio::test(start_paused = true)]
async fn pending_dials_hold_nobody_up_over_quic() {
    pending_dials_hold_nobody_up(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn pending_dials_hold_nobody_up_over_websocket() {
    pending_dials_hold_nobody_up(Transport::WebSocket).await;
}

/// A peer that floods a session which takes no messages is closed (WebSocket) or waits (QUIC, whose
/// control stream has flow control of its own).
#[tokio::test(start_paused = true)]
async fn a_flood_of_control_messages_is_bounded() {
    for transport in [Transport::Quic, Transport::WebSocket] {
        let scope = Scope::root("test");
        let (gateway, client) = tunnels(transport, &scope).await;
        let goaway = Goaway {
            code: CloseCode::Shutdown,
            reconnect_after: Duration::ZERO,
            drain: Duration::ZERO,
            reason: "x".repeat(256),
        };
        let flood = async {
            // 50 MB: more than quinn's windows of both ends hold.
            for _ in 0..200_000 {
                client.send_control(Frame::Goaway(goaway.clone())).await?;
            }
            Ok::<_, TunnelError>(())
        };
        let flooded = Deadline::after(Duration::from_secs(60)).bound(flood).await;
        match transport {
            Transport::Quic => {
                assert!(flooded.is_err(), "nothing held the flood back: {flooded:?}")
            }
            Transport::WebSocket => {
                let error = gateway.closed().await;
                assert_eq!(error.code(), Some(CloseCode::OverLimit), "{error}");
                assert!(matches!(error, TunnelError::Closed { by: ClosedBy::Us, .. }), "{error}");
            }
        }
    }
}

/// A tunnel's two ends, without a session on either.
async fn tunnels(transport: Transport, scope: &Scope) -> (Tunnel, Tunnel) {
    let (site, _world) = Site::simulated();
    let certificates = Certificates::new(&["gateway.test"]);
    let config = ListenConfig {
        addr: SocketAddr::new(site.gateway_ip, 0),
        offer: Offer::Both,
        identity: Identity::from_pem(certificates.chain.as_bytes(), certificates.key.as_bytes())
            .unwrap(),
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
        dead_after: Duration::from_secs(3600),
        behind: anyproxy_transport::Behind::default(),
        congestion: anyproxy_transport::Congestion::default(),
    };
    let listener = TunnelListener::bind(&*site.gateway, &config).unwrap();
    let addr = listener.local_addr();
    let deadline = Deadline::after(Duration::from_secs(10));
    let accepting = async {
        let greeting = listener.accept().await.greet(deadline).await.unwrap();
        let client = greeting.challenge(&[METHOD_SECRET]).await.unwrap();
        let proof =
            gateway_proof(&Verifier::from_secret(&Secret::new(SECRET)), client.transcript());
        let limits = TunnelLimits {
            max_streams: 16,
            budget: StallBudget::new(1 << 20),
            ids: StreamIds::new(Side::Gateway),
        };
        client.welcome(welcome(proof), limits, scope).await.unwrap()
    };
    let dialling = async {
        let trust = Trust::from_ca_pem(certificates.ca.as_bytes()).unwrap();
        let dialer = Dialer::new(site.client.clone(), dial_config(addr, trust)).unwrap();
        let connected = dialer.dial(transport, deadline).await.unwrap();
        connected.log_in(&login(), deadline, scope).await.unwrap().0
    };
    tokio::join!(accepting, dialling)
}

fn welcome(proof: [u8; 32]) -> Welcome {
    Welcome {
        session: [1; 16],
        tunnel: 0,
        proof: Some(proof),
        generation: 1,
        initial_credit: DEFAULT_CREDIT,
        max_streams: 16,
        ping_interval: Duration::from_secs(600),
        dead_after: Duration::from_secs(3600),
        join_key: [2; 32],
        software: String::new(),
    }
}

fn dial_config(addr: SocketAddr, trust: Trust) -> DialConfig {
    DialConfig {
        host: addr.ip().to_string(),
        port: addr.port(),
        server_name: Some("gateway.test".into()),
        trust,
        certificate: None,
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
        route: anyproxy_transport::Route::default(),
        congestion: anyproxy_transport::Congestion::default(),
    }
}

fn login() -> Login {
    Login {
        group: GROUP.into(),
        client_id: "test".into(),
        instance: [3; 16],
        replica: 0,
        intent: Intent::New,
        join_key: None,
        ping_within: None,
        secret: Secret::new(SECRET),
        method: Method::Secret,
        initial_credit: DEFAULT_CREDIT,
        budget: StallBudget::new(1 << 20),
    }
}
