//! Who may put a tunnel beside another: the session's client, beside the tunnel that takes what is new.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is the test's"
)]

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    lab::{GROUP, Options, SECRET, Site},
    party::Party,
};
use anyproxy_transport::{
    Dialer, JoinKey, Login, LoginError, Method, StallBudget, Transport, Tunnel,
};
use anyproxy_wire::{
    codes::CloseCode,
    handshake::Secret,
    message::{DEFAULT_CREDIT, Intent, Welcome},
};

const PATIENCE: Duration = Duration::from_secs(30);

struct Visitor {
    party: Party,
    dialer: Dialer,
    scope: Scope,
    budget: Arc<StallBudget>,
}

impl Visitor {
    fn new() -> Self {
        let (site, _world) = Site::simulated();
        let party = Party::start(site, Options::new(Transport::WebSocket));
        let dialer = Dialer::new(party.site.client.clone(), party.config("one").gateway).unwrap();
        Self { party, dialer, scope: Scope::root("visitor"), budget: StallBudget::new(1 << 20) }
    }

    async fn log_in(
        &self,
        (intent, key): (Intent, Option<JoinKey>),
    ) -> Result<(Tunnel, Welcome), LoginError> {
        let login = Login {
            group: GROUP.into(),
            client_id: "one".into(),
            instance: [7; 16],
            replica: 0,
            intent,
            join_key: key,
            ping_within: None,
            secret: Secret::new(SECRET),
            method: Method::Secret,
            initial_credit: DEFAULT_CREDIT,
            budget: Arc::clone(&self.budget),
        };
        let deadline = Deadline::after(PATIENCE);
        let connected = self.dialer.dial(Transport::WebSocket, deadline).await.unwrap();
        connected.log_in(&login, deadline, &self.scope).await
    }

    fn tunnels(&self) -> usize {
        self.party.gateway.watched().figures().sessions[0].tunnels
    }
}

fn code<T>(refused: Result<T, LoginError>) -> CloseCode {
    let Err(LoginError::Refused(refuse)) = refused else { panic!("it was not refused") };
    refuse.code
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_is_put_beside_the_current_one_and_no_other() {
    let visitor = Visitor::new();
    let (_main, welcome) = visitor.log_in((Intent::New, None)).await.unwrap();
    let (session, key) = (welcome.session, || Some(JoinKey::of(&welcome)));
    let beside = |main| (Intent::Beside { session, main }, key());
    let (_beside, second) = visitor.log_in(beside(0)).await.unwrap();
    assert_eq!((second.session, second.tunnel, visitor.tunnels()), (session, 1, 2));
    // It is not the main one, nor is one that never was.
    for main in [1, 2, u64::from(u32::MAX)] {
        assert_eq!(code(visitor.log_in(beside(main)).await), CloseCode::NoSuchSession);
    }
    let (_moved, third) = visitor.log_in((Intent::Join { session }, key())).await.unwrap();
    // What the client asked for before it knew of the move comes too late.
    assert_eq!(code(visitor.log_in(beside(0)).await), CloseCode::NoSuchSession);
    visitor.log_in(beside(third.tunnel)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_the_sessions_key_there_is_no_session() {
    let visitor = Visitor::new();
    let (_main, welcome) = visitor.log_in((Intent::New, None)).await.unwrap();
    let beside = Intent::Beside { session: welcome.session, main: 0 };
    let another = Welcome { join_key: [1; 32], ..welcome.clone() };
    for key in [None, Some(JoinKey::of(&another))] {
        assert_eq!(code(visitor.log_in((beside, key)).await), CloseCode::NoSuchSession);
    }
    let elsewhere = Intent::Beside { session: [9; 16], main: 0 };
    let refused = visitor.log_in((elsewhere, Some(JoinKey::of(&welcome)))).await;
    assert_eq!(code(refused), CloseCode::NoSuchSession);
    assert_eq!(visitor.tunnels(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_so_many_beside_its_tunnel_and_no_more() {
    let visitor = Visitor::new();
    let (_main, welcome) = visitor.log_in((Intent::New, None)).await.unwrap();
    let beside = Intent::Beside { session: welcome.session, main: 0 };
    let mut held = Vec::new();
    for _ in 0..14 {
        let key = Some(JoinKey::of(&welcome));
        held.push(visitor.log_in((beside, key)).await.unwrap());
    }
    let refused = visitor.log_in((beside, Some(JoinKey::of(&welcome)))).await;
    assert_eq!(code(refused), CloseCode::OverLimit);
    assert_eq!(visitor.tunnels(), 15);
}
