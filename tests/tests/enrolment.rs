//! Keys and tokens at the gateway: who gets in with what, over both transports.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a failure here is the test's"
)]

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyproxy_gateway::{Enrolments, Gateway, NotEnrolled, Token, Wish};
use anyproxy_runtime::{Deadline, Scope};
use anyproxy_tests::{
    groups::group,
    lab::{self, Certificates, GROUP, Options, SECRET, Site},
    wait,
};
use anyproxy_transport::{
    ClientKey, Connected, Dialer, Enrolment, JoinKey, Login, LoginError, Method, StallBudget,
    Transport, Tunnel,
};
use anyproxy_wire::{
    codes::CloseCode,
    handshake::{PublicKey, Secret, TokenId, Verifier},
    message::{DEFAULT_CREDIT, Intent, Welcome},
};

const BOTH: [Transport; 2] = [Transport::Quic, Transport::WebSocket];
const TOKEN: TokenId = [1; 8];
const TOKEN_SECRET: &[u8] = b"the secret of a token";
const ID: &str = "laptop";

/// A book of clients in memory, with one token.
#[derive(Debug, Default)]
struct Book {
    clients: Mutex<HashMap<PublicKey, (String, Arc<str>)>>,
    used: Mutex<Option<PublicKey>>,
    seen: Mutex<Vec<PublicKey>>,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Enrolments for Book {
    fn client_of(&self, group: &str, key: &PublicKey) -> Option<Arc<str>> {
        let clients = self.clients.lock().unwrap();
        clients.get(key).filter(|(of, _)| of == group).map(|(_, id)| Arc::clone(id))
    }

    fn has_client(&self, group: &str, client_id: &str) -> bool {
        let clients = self.clients.lock().unwrap();
        clients.values().any(|(of, id)| of == group && **id == *client_id)
    }

    fn seen(&self, key: &PublicKey) {
        self.seen.lock().unwrap().push(*key);
    }

    fn token(&self, id: TokenId) -> Answer<'_, Option<Token>> {
        let verifier = Verifier::from_secret(&Secret::new(TOKEN_SECRET));
        let token = (id == TOKEN).then(|| Token { group: GROUP.into(), verifier });
        Box::pin(std::future::ready(token))
    }

    fn enrol(&self, wish: Wish) -> Answer<'_, Result<(), NotEnrolled>> {
        let mut used = self.used.lock().unwrap();
        let done = if used.is_some_and(|key| key != wish.key) {
            Err(NotEnrolled::Used)
        } else {
            *used = Some(wish.key);
            let client = (wish.group, wish.client_id.into());
            self.clients.lock().unwrap().insert(wish.key, client);
            Ok(())
        };
        Box::pin(std::future::ready(done))
    }
}

struct Stage {
    site: Site,
    gateway: Gateway,
    book: Arc<Book>,
    dialer: Dialer,
    scope: Scope,
    seed: Secret,
}

impl Stage {
    fn new() -> Self {
        let (site, _) = Site::simulated();
        let certificates = Certificates::new(&["gateway.test"]);
        let options = Options::new(Transport::Quic);
        let config = lab::gateway_config(&site, &options, &certificates);
        let book = Arc::new(Book::default());
        let (net, drain) = (site.gateway.clone(), Duration::from_secs(10));
        let gateway = Gateway::start_enrolling(&config, net, drain, book.clone()).unwrap();
        let at = gateway.addresses().tunnels;
        let client = lab::client_config(&site, &options, &certificates, at);
        let dialer = Dialer::new(site.client.clone(), client.gateway).unwrap();
        let seed = Secret::new([7; 32]);
        Self { site, gateway, book, dialer, scope: Scope::root("test"), seed }
    }

    fn key(&self) -> ClientKey {
        ClientKey::from_seed(&self.seed).unwrap()
    }

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    async fn dial(&self, transport: Transport) -> Connected {
        self.dialer.dial(transport, Self::deadline()).await.unwrap()
    }

    /// Enrols the key as `id` of `group` with the token whose secret is `secret`.
    async fn enrol(
        &self,
        transport: Transport,
        (group, id): (&str, &str),
        (token, secret): (TokenId, &[u8]),
    ) -> Result<(), LoginError> {
        let (key, secret) = (&self.key(), &Secret::new(secret));
        let wish = Enrolment { group, client_id: id, token, secret, key };
        self.dial(transport).await.enrol(&wish, Self::deadline()).await
    }

    fn login(&self) -> Login {
        Login {
            group: GROUP.into(),
            client_id: ID.into(),
            instance: [3; 16],
            replica: 0,
            intent: Intent::New,
            join_key: None,
            ping_within: None,
            secret: self.seed.clone(),
            method: Method::Key,
            initial_credit: DEFAULT_CREDIT,
            budget: StallBudget::new(64 << 20),
        }
    }

    async fn log_in(
        &self,
        transport: Transport,
        login: &Login,
    ) -> Result<(Tunnel, Welcome), LoginError> {
        self.dial(transport).await.log_in(login, Self::deadline(), &self.scope).await
    }
}

fn reason<T: std::fmt::Debug>(result: Result<T, LoginError>) -> (CloseCode, String) {
    match result {
        Err(LoginError::Refused(refuse)) => (refuse.code, refuse.reason),
        other => panic!("{other:?}"),
    }
}

/// The same by the group's secret instead of a key.
fn with_secret(login: Login) -> Login {
    Login { secret: Secret::new(SECRET), method: Method::Secret, ..login }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_traded_for_a_key_that_logs_in() {
    for transport in BOTH {
        let stage = Stage::new();
        let right = (TOKEN, TOKEN_SECRET);
        let early = reason(stage.log_in(transport, &stage.login()).await);
        assert_eq!(
            early,
            (CloseCode::Unauthorised, "this client's key is not enrolled here".into())
        );
        // The same key again: the first answer may have been lost.
        for _ in 0..2 {
            stage.enrol(transport, (GROUP, ID), right).await.unwrap();
        }
        assert_eq!(stage.gateway.sessions(), 0, "enrolling makes no session");
        let (tunnel, _) = stage.log_in(transport, &stage.login()).await.unwrap();
        assert_eq!(stage.gateway.sessions(), 1);
        assert_eq!(*stage.book.seen.lock().unwrap(), [stage.key().public()]);
        let other = Stage { seed: Secret::new([8; 32]), ..stage };
        let used = reason(other.enrol(transport, (GROUP, "other"), right).await);
        assert_eq!(used, (CloseCode::Unauthorised, "this token was used already".into()));
        tunnel.close(CloseCode::Shutdown, "");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_proven_is_not_explained() {
    for transport in BOTH {
        let stage = Stage::new();
        for (who, token) in [
            ((GROUP, ID), (TOKEN, &b"another secret"[..])),
            ((GROUP, ID), ([2; 8], TOKEN_SECRET)),
            (("empty", ID), (TOKEN, TOKEN_SECRET)),
            (("nobody", ID), (TOKEN, TOKEN_SECRET)),
        ] {
            let refused = reason(stage.enrol(transport, who, token).await);
            assert_eq!(refused, (CloseCode::Unauthorised, "this token is not known here".into()));
        }
        assert!(stage.book.clients.lock().unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_good_for_its_group_and_id_alone() {
    for transport in BOTH {
        let stage = Stage::new();
        stage.enrol(transport, (GROUP, ID), (TOKEN, TOKEN_SECRET)).await.unwrap();
        let right = stage.login();
        for wrong in [
            Login { client_id: "desk".into(), ..right.clone() },
            Login { group: "empty".into(), ..right.clone() },
            Login { group: "nobody".into(), ..right.clone() },
            Login { secret: Secret::new([8; 32]), ..right.clone() },
            // The group's secret is no key, and a key no secret.
            Login { method: Method::Secret, ..right.clone() },
            Login { method: Method::Password, ..right.clone() },
        ] {
            let (code, _) = reason(stage.log_in(transport, &wrong).await);
            assert_eq!(code, CloseCode::Unauthorised, "{wrong:?}");
        }
        assert_eq!(stage.gateway.sessions(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_enrolled_key_takes_its_id_from_who_took_it_before() {
    for transport in BOTH {
        let stage = Stage::new();
        let by_secret = with_secret(stage.login());
        let (before, _) = stage.log_in(transport, &by_secret).await.unwrap();
        stage.enrol(transport, (GROUP, ID), (TOKEN, TOKEN_SECRET)).await.unwrap();
        assert!(!before.is_closed(), "it may go on until the enrolled one is there");
        let (tunnel, _) = stage.log_in(transport, &stage.login()).await.unwrap();
        wait::until(&stage.site, || before.is_closed()).await;
        reserved(&stage, transport, &by_secret).await;
        assert!(!tunnel.is_closed());
        assert_eq!(stage.gateway.sessions(), 1);
        let (_again, _) = stage.log_in(transport, &stage.login()).await.unwrap();
        wait::until(&stage.site, || tunnel.is_closed()).await;
    }
}

async fn reserved(stage: &Stage, transport: Transport, comer: &Login) {
    let (code, why) = reason(stage.log_in(transport, comer).await);
    assert_eq!(code, CloseCode::Superseded);
    assert!(why.contains("a client that joined with a key of its own"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_id_is_its_clients_while_that_is_away_until_it_is_revoked() {
    for transport in BOTH {
        let stage = Stage::new();
        stage.enrol(transport, (GROUP, ID), (TOKEN, TOKEN_SECRET)).await.unwrap();
        let by_secret = with_secret(stage.login());
        // It was never there yet, and every replica is its.
        reserved(&stage, transport, &by_secret).await;
        reserved(&stage, transport, &Login { replica: 1, ..by_secret.clone() }).await;
        let (tunnel, _) = stage.log_in(transport, &stage.login()).await.unwrap();
        tunnel.close(CloseCode::Shutdown, "");
        wait::until(&stage.site, || stage.gateway.sessions() == 0).await;
        reserved(&stage, transport, &by_secret).await;
        let desk = Login { client_id: "desk".into(), ..by_secret.clone() };
        let (_desk, _) = stage.log_in(transport, &desk).await.unwrap();
        stage.book.clients.lock().unwrap().clear();
        let (_other, _) = stage.log_in(transport, &by_secret).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_has_64_sessions_at_most() {
    for transport in BOTH {
        let stage = Stage::new();
        stage.enrol(transport, (GROUP, ID), (TOKEN, TOKEN_SECRET)).await.unwrap();
        let replica = |replica| Login { replica, ..stage.login() };
        let (_tunnel, _) = stage.log_in(transport, &replica(63)).await.unwrap();
        for over in [64, 1 << 40] {
            let (code, why) = reason(stage.log_in(transport, &replica(over)).await);
            assert_eq!(code, CloseCode::OverLimit);
            assert!(why.contains(&format!("replica {over}")), "{why}");
        }
        assert_eq!(stage.gateway.sessions(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_tunnel_joins_with_the_key_that_opened_the_session() {
    for transport in BOTH {
        let stage = Stage::new();
        stage.enrol(transport, (GROUP, ID), (TOKEN, TOKEN_SECRET)).await.unwrap();
        let (_first, welcome) = stage.log_in(transport, &stage.login()).await.unwrap();
        let (intent, join_key) =
            (Intent::Join { session: welcome.session }, Some(JoinKey::of(&welcome)));
        let by_key = Login { intent, join_key, ..stage.login() };
        let by_secret = with_secret(by_key.clone());
        let (code, _) = reason(stage.log_in(transport, &by_secret).await);
        assert_eq!(code, CloseCode::NoSuchSession);
        let (_second, again) = stage.log_in(transport, &by_key).await.unwrap();
        assert_eq!(again.session, welcome.session);
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_ends_its_session_and_no_other() {
    for transport in BOTH {
        let stage = Stage::new();
        stage.enrol(transport, (GROUP, ID), (TOKEN, TOKEN_SECRET)).await.unwrap();
        let (tunnel, _) = stage.log_in(transport, &stage.login()).await.unwrap();
        let member = Login { client_id: "desk".into(), ..with_secret(stage.login()) };
        let (other, _) = stage.log_in(transport, &member).await.unwrap();
        assert_eq!(stage.gateway.check_enrolled(), 0);
        stage.book.clients.lock().unwrap().clear();
        assert_eq!(stage.gateway.check_enrolled(), 1);
        wait::until(&stage.site, || tunnel.is_closed()).await;
        assert!(!other.is_closed());
        let (code, _) = reason(stage.log_in(transport, &stage.login()).await);
        assert_eq!(code, CloseCode::Unauthorised);
    }
}

#[tokio::test(start_paused = true)]
async fn another_secret_of_the_group_does_not_concern_a_key() {
    for transport in BOTH {
        let stage = Stage::new();
        stage.enrol(transport, (GROUP, ID), (TOKEN, TOKEN_SECRET)).await.unwrap();
        let (tunnel, _) = stage.log_in(transport, &stage.login()).await.unwrap();
        let member = Login { client_id: "desk".into(), ..with_secret(stage.login()) };
        let (other, _) = stage.log_in(transport, &member).await.unwrap();
        stage.gateway.set_groups(&[group(GROUP, "another secret")]);
        wait::until(&stage.site, || other.is_closed()).await;
        assert!(!tunnel.is_closed());
        // Without its group a key is good for nothing.
        stage.gateway.set_groups(&[group("another", "secret")]);
        wait::until(&stage.site, || tunnel.is_closed()).await;
        let (code, _) = reason(stage.log_in(transport, &stage.login()).await);
        assert_eq!(code, CloseCode::Unauthorised);
    }
}
