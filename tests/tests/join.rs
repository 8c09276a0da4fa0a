//! A second tunnel joins a live session.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    lab::{self, Options, SECRET, Site},
    net::{Switch, World},
    party::{Party, ping},
    wait,
};
use anyproxy_transport::{
    Dialer, JoinKey, Login, LoginError, Method, StallBudget, Transport, Tunnel,
};
use anyproxy_wire::{
    codes::{CloseCode, ForwardCode, OpenCode},
    frame::Frame,
    handshake::Secret,
    message::{DEFAULT_CREDIT, ForwardReply, ForwardRequest, Intent, Protocol, Welcome},
};
use tokio::{
    io::copy_bidirectional,
    time::{sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway, and a client that is only as clever as a test needs.
struct Stage {
    party: Party,
    world: World,
    scope: Scope,
    dialer: Dialer,
}

impl Stage {
    fn new() -> Self {
        let (site, world) = Site::simulated();
        let party = Party::start(site, Options::new(Transport::Quic));
        let dialer = Dialer::new(party.site.client.clone(), party.config("one").gateway).unwrap();
        Self { party, world, scope: Scope::root("test"), dialer }
    }

    fn login(intent: Intent, join_key: Option<JoinKey>) -> Login {
        Login {
            group: lab::GROUP.into(),
            client_id: "one".into(),
            instance: [3; 16],
            replica: 0,
            intent,
            join_key,
            ping_within: None,
            secret: Secret::new(SECRET),
            method: Method::Secret,
            initial_credit: DEFAULT_CREDIT,
            budget: StallBudget::new(64 << 20),
        }
    }

    async fn log_in(
        &self,
        transport: Transport,
        login: &Login,
    ) -> Result<(Tunnel, Welcome), LoginError> {
        let deadline = Deadline::after(PATIENCE);
        let connected = self.dialer.dial(transport, deadline).await.unwrap();
        connected.log_in(login, deadline, &self.scope).await
    }

    async fn first(&self, transport: Transport) -> (Tunnel, Welcome) {
        self.log_in(transport, &Self::login(Intent::New, None)).await.unwrap()
    }

    async fn join(
        &self,
        transport: Transport,
        welcome: &Welcome,
    ) -> Result<(Tunnel, Welcome), LoginError> {
        let intent = Intent::Join { session: welcome.session };
        self.log_in(transport, &Self::login(intent, Some(JoinKey::of(welcome)))).await
    }

    async fn refused(&self, login: &Login) -> CloseCode {
        match self.log_in(Transport::WebSocket, login).await {
            Err(LoginError::Refused(refuse)) => refuse.code,
            other => panic!("{other:?}"),
        }
    }

    /// Closes the tunnel's connections until nothing of the session is left.
    async fn end(&self, tunnel: &Tunnel) {
        tunnel.close(CloseCode::Shutdown, "");
        wait::until(&self.party.site, || self.party.gateway.sessions() == 0).await;
    }
}

/// Answers every stream of a tunnel with what comes in, until it is over.
fn echo(tunnel: &Tunnel) {
    let tunnel = tunnel.clone();
    tokio::spawn(async move {
        while let Ok(incoming) = tunnel.accept().await {
            tokio::spawn(async move {
                let (_, mut stream) = incoming.head(Deadline::after(PATIENCE)).await.unwrap();
                stream.answer(OpenCode::Connected, "", None).await.unwrap();
                let (near, mut far) = tokio::io::duplex(1024);
                let (mut read, mut write) = tokio::io::split(near);
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
                let _ = copy_bidirectional(&mut stream, &mut far).await;
            });
        }
    });
}

async fn forward(tunnel: &Tunnel, id: u64) -> ForwardReply {
    let request = ForwardRequest {
        id,
        protocol: Protocol::Tcp,
        listen: "198.18.0.1:2222".into(),
        name: String::new(),
    };
    tunnel.send_control(Frame::ForwardRequest(request)).await.unwrap();
    reply(tunnel).await
}

async fn reply(tunnel: &Tunnel) -> ForwardReply {
    match timeout(PATIENCE, tunnel.recv_control()).await.expect("no answer").unwrap() {
        Frame::ForwardReply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn other(transport: Transport) -> Transport {
    match transport {
        Transport::Quic => Transport::WebSocket,
        Transport::WebSocket => Transport::Quic,
    }
}

async fn a_session_moves(from: Transport) {
    let stage = Stage::new();
    let (old, welcome) = stage.first(from).await;
    echo(&old);
    assert_eq!(welcome.tunnel, 0);
    let port: SocketAddr = "198.18.0.1:2222".parse().unwrap();
    assert_eq!(forward(&old, 7).await.bound, Some(port));
    let mut early = stage.party.user(port).await;
    ping(&mut early).await.unwrap();

    let (new, again) = stage.join(other(from), &welcome).await.unwrap();
    echo(&new);
    assert_eq!((again.session, again.tunnel), (welcome.session, 1));
    assert_eq!(again.generation, welcome.generation, "it is the same session");
    assert_eq!(stage.party.gateway.sessions(), 1);

    let mut late = stage.party.user(port).await;
    ping(&mut late).await.unwrap();
    assert_eq!((old.streams(), new.streams()), (1, 1), "new streams take the new tunnel");
    ping(&mut early).await.unwrap();
    sleep(Duration::from_secs(300)).await;
    ping(&mut early).await.unwrap();
    assert!(!old.is_closed(), "it has a stream");

    assert_eq!(forward(&new, 7).await.bound, Some(port), "who asks again is told again");
    assert_eq!(forward(&new, 8).await.code, ForwardCode::Bound, "asked over the new tunnel");

    drop(early);
    let error = timeout(PATIENCE, old.closed()).await.expect("the old tunnel stays");
    assert_eq!(error.code(), Some(CloseCode::Shutdown), "{error}");
    ping(&mut late).await.unwrap();
    ping(&mut stage.party.user(port).await).await.unwrap();
    stage.end(&new).await;
    assert_eq!(stage.party.gateway.users(), 0, "the port went with the session");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_began_over_quic_moves() {
    a_session_moves(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_began_over_websocket_moves() {
    a_session_moves(Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_outlives_the_tunnel_that_it_moved_to() {
    let stage = Stage::new();
    let (old, welcome) = stage.first(Transport::Quic).await;
    echo(&old);
    let port = forward(&old, 7).await.bound.unwrap();
    let mut early = stage.party.user(port).await;
    ping(&mut early).await.unwrap();
    let (new, _) = stage.join(Transport::WebSocket, &welcome).await.unwrap();
    new.close(CloseCode::Shutdown, "");
    sleep(Duration::from_secs(1)).await;
    ping(&mut stage.party.user(port).await).await.unwrap();
    ping(&mut early).await.unwrap();
    assert_eq!(stage.party.gateway.sessions(), 1);
    drop(early);
    stage.end(&old).await;
}

#[tokio::test(start_paused = true)]
async fn only_who_has_the_key_joins() {
    let stage = Stage::new();
    let (tunnel, welcome) = stage.first(Transport::Quic).await;
    let (_, elsewhere) = stage
        .log_in(
            Transport::Quic,
            &Login { client_id: "two".into(), ..Stage::login(Intent::New, None) },
        )
        .await
        .unwrap();
    let mine = Intent::Join { session: welcome.session };
    let key = Some(JoinKey::of(&welcome));
    let right = Stage::login(mine, key);
    let wrong = [
        Stage::login(Intent::Join { session: [9; 16] }, key),
        Stage::login(mine, None),
        Stage::login(mine, Some(JoinKey::of(&elsewhere))),
        Login { client_id: "two".into(), ..right.clone() },
        Login { instance: [4; 16], ..right.clone() },
        Login { replica: 1, ..right.clone() },
        Login { group: "empty".into(), ..right.clone() },
    ];
    for (index, login) in wrong.iter().enumerate() {
        assert_eq!(stage.refused(login).await, CloseCode::NoSuchSession, "{index}");
    }
    let stranger = Login { secret: Secret::new("another secret of more than 128 bits"), ..right };
    assert_eq!(stage.refused(&stranger).await, CloseCode::Unauthorised);
    assert!(!tunnel.is_closed());
    stage.join(Transport::WebSocket, &welcome).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_over_cannot_be_joined() {
    let stage = Stage::new();
    let (tunnel, welcome) = stage.first(Transport::Quic).await;
    stage.end(&tunnel).await;
    let login =
        Stage::login(Intent::Join { session: welcome.session }, Some(JoinKey::of(&welcome)));
    assert_eq!(stage.refused(&login).await, CloseCode::NoSuchSession);
    assert_eq!(stage.party.gateway.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn tunnels_of_a_session_are_bounded() {
    let stage = Stage::new();
    let (mut tunnel, welcome) = stage.first(Transport::Quic).await;
    let port = forward(&tunnel, 7).await.bound.unwrap();
    let mut users = vec![];
    for _ in 0..3 {
        echo(&tunnel);
        let mut user = stage.party.user(port).await;
        ping(&mut user).await.unwrap();
        users.push((user, tunnel));
        tunnel = stage.join(Transport::WebSocket, &welcome).await.unwrap().0;
    }
    let login =
        Stage::login(Intent::Join { session: welcome.session }, Some(JoinKey::of(&welcome)));
    assert_eq!(stage.refused(&login).await, CloseCode::OverLimit);
    let (user, first) = users.remove(0);
    drop(user);
    timeout(PATIENCE, first.closed()).await.unwrap();
    stage.join(Transport::Quic, &welcome).await.unwrap();
}

/// A client gives a log-in up that hangs, and logs in over the other transport. What was on its way then
/// arrives late.
#[tokio::test(start_paused = true)]
async fn a_login_that_was_overtaken_takes_nobodys_place() {
    let stage = Stage::new();
    let link = stage.world.link([198, 18, 0, 2].into(), stage.party.site.gateway_ip);
    let deadline = Deadline::after(PATIENCE);
    let connected = stage.dialer.dial(Transport::Quic, deadline).await.unwrap();
    let login = Stage::login(Intent::New, None);
    let (late, scope) = (login.clone(), stage.scope.clone());
    let late = tokio::spawn(async move { connected.log_in(&late, deadline, &scope).await });
    // The Hello is there and its Challenge on the way; the Auth is lost.
    sleep(Duration::from_millis(15)).await;
    link.black_hole_udp(Switch::On);
    let (tunnel, welcome) = stage.first(Transport::WebSocket).await;
    link.black_hole_udp(Switch::Off);
    match late.await.unwrap() {
        Err(LoginError::Refused(refuse)) => assert_eq!(refuse.code, CloseCode::Superseded),
        other => panic!("{other:?}"),
    }
    assert!(!tunnel.is_closed());
    assert_eq!(stage.party.gateway.sessions(), 1);
    stage.join(Transport::Quic, &welcome).await.unwrap();
}
