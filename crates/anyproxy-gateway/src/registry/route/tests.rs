use std::time::Duration;

use anyproxy_transport::Opening;
use anyproxy_wire::message::{Hello, Ingress, Intent, Protocol, Target};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::time::Instant;

use super::*;
use crate::{
    config::{Credential, GroupConfig, GroupLimits},
    credentials::Admitted,
    enrolment::{NoEnrolments, Proven},
    registry::{Admission, Bandwidth, GiveWay},
};

const WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Nothing;

impl GiveWay for Nothing {
    fn give_way<'a>(&'a self, _: &'a str) -> BoxFuture<'a, bool> {
        async { false }.boxed()
    }
}

fn credential() -> Credential {
    Credential::Argon2id("never checked here".into())
}

fn registry() -> Arc<Registry> {
    let group = |name: &str| GroupConfig {
        name: name.into(),
        tunnel: credential(),
        client_ca: None,
        users: vec![],
        ports: vec![],
        limits: GroupLimits::default(),
    };
    let groups = [group("home"), group("office")];
    Arc::new(Registry::new(
        &groups,
        Bandwidth::new(None),
        Arc::new(Nothing),
        Arc::new(NoEnrolments),
    ))
}

/// A client of the group that is being welcomed.
fn arriving(registry: &Arc<Registry>) -> Admission {
    let hello = Hello {
        versions: vec![1],
        features: 0,
        methods: vec![1],
        nonce: [0; 32],
        principal: "home".into(),
        client_id: "laptop".into(),
        instance: [1; 16],
        replica: 0,
        intent: Intent::New,
        initial_credit: 0,
        software: String::new(),
    };
    let admitted =
        Admitted { group: "home".into(), proven: Proven::Secret(credential()), proof: None };
    registry.admit(admitted, (&hello, registry.number()), 10).unwrap()
}

async fn open(registry: &Registry, group: &str) -> OpenFailure {
    let request = OpenRequest {
        group: group.into(),
        opening: Opening {
            ingress: Ingress::Socks5,
            target: Target::Name("example.org:80".into()),
            source: None,
            destination: None,
            user: String::new(),
            protocol: Protocol::Tcp,
        },
    };
    Route::open(registry, &request, Deadline::after(WITHIN)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_who_is_not_awaited() {
    let registry = registry();
    let began = Instant::now();
    assert_eq!(open(&registry, "home").await, OpenFailure::NoSession);
    let _arriving = arriving(&registry);
    assert_eq!(open(&registry, "office").await, OpenFailure::NoSession, "another group's");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_about_to_arrive_is_waited_for_until_it_is_given_up() {
    let registry = registry();
    let began = Instant::now();
    let (first, second) = (arriving(&registry), arriving(&registry));
    let second = async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(first);
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(second);
    };
    let (failure, ()) = tokio::join!(open(&registry, "home"), second);
    assert_eq!(failure, OpenFailure::NoSession);
    assert_eq!(began.elapsed(), Duration::from_millis(200));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_never_arrives_is_waited_for_until_the_deadline() {
    let registry = registry();
    let began = Instant::now();
    let _stuck = arriving(&registry);
    assert_eq!(open(&registry, "home").await, OpenFailure::TimedOut);
    assert_eq!(began.elapsed(), WITHIN);
}
