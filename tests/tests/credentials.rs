//! Passwords that people chose: hashed once, rationed, and never in anybody else's way
//! (Conformance cases 27 to 29).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure is the test's result, and tasks end with its runtime"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_client::Client;
use anyproxy_gateway::{Credential, GroupConfig, PasswordChecks, UserConfig};
use anyproxy_tests::{
    groups::{group, member},
    lab::{Options, Site, connected},
    party::Party,
    target,
    user::{base64, read_head},
};
use anyproxy_transport::{Transport, net::Conn};
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use tokio::{io::AsyncWriteExt as _, task::JoinSet, time::Instant};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// What Argon2id costs here, in passes over 19 MiB.
#[derive(Clone, Copy)]
enum Cost {
    /// Where only the number of runs matters.
    Cheap,
    /// Where checks have to be under way for a while.
    Dear,
}

fn chosen(password: &str, cost: Cost) -> Credential {
    let params = match cost {
        Cost::Cheap => Params::new(64, 1, 1, None).unwrap(),
        Cost::Dear => Params::new(19 * 1024, 2, 1, None).unwrap(),
    };
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Credential::Argon2id(hasher.hash_password(password.as_bytes()).unwrap().to_string())
}

fn people(users: &[(&str, Credential)]) -> GroupConfig {
    let user = |(name, password): &(&str, Credential)| UserConfig {
        name: (*name).into(),
        password: password.clone(),
    };
    GroupConfig { users: users.iter().map(user).collect(), ..group("red", "red secret") }
}

/// A gateway with one client, and a web server behind it that keeps connections.
struct Town {
    party: Party,
    _client: Client,
    web: SocketAddr,
}

impl Town {
    async fn start(site: Site, transport: Transport, users: &[(&str, Credential)]) -> Self {
        let web = target::serve(&site, |mut conn| async move {
            while read_head(&mut conn).await.is_ok() {
                let _ = conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        let party = Party::start(site, Options::new(transport));
        party.gateway.set_groups(&[people(users)]);
        let client = party.client(member(&party, "one", "red", "red secret"));
        connected(&client).await;
        Self { party, _client: client, web }
    }

    fn checks(&self) -> PasswordChecks {
        self.party.gateway.password_checks()
    }

    async fn user(&self) -> Conn {
        self.party.user(self.party.gateway.addresses().http[0]).await
    }

    /// One request on a connection of its own.
    async fn ask(&self, name: &str, password: &str) -> u16 {
        ask(&mut self.user().await, self.web, name, password).await
    }
}

/// One request; gives its status. Only good answers have no body.
async fn ask(conn: &mut Conn, web: SocketAddr, name: &str, password: &str) -> u16 {
    let login = base64(format!("{name}:{password}").as_bytes());
    let request = format!(
        "GET http://{web}/ HTTP/1.1\r\nHost: {web}\r\nProxy-Authorization: Basic {login}\r\n\r\n"
    );
    conn.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(conn).await.unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn a_chosen_password_is_hashed_once_for_ten_thousand_requests(transport: Transport) {
    let town = Arc::new(
        Town::start(Site::loopback(), transport, &[("ann", chosen("ann's", Cost::Cheap))]).await,
    );
    let mut users = JoinSet::new();
    for _ in 0..20 {
        let town = Arc::clone(&town);
        users.spawn(async move {
            let mut conn = town.user().await;
            for _ in 0..500 {
                assert_eq!(ask(&mut conn, town.web, "ann", "ann's").await, 200);
            }
        });
    }
    let done = users.join_all().await;
    assert_eq!(done.len() * 500, 10_000);
    assert_eq!(town.checks(), PasswordChecks { runs: 1, most_at_once: 1 });
}

#[tokio::test]
async fn a_chosen_password_is_hashed_once_for_ten_thousand_requests_over_quic() {
    a_chosen_password_is_hashed_once_for_ten_thousand_requests(Transport::Quic).await;
}

#[tokio::test]
async fn a_chosen_password_is_hashed_once_for_ten_thousand_requests_over_websocket() {
    a_chosen_password_is_hashed_once_for_ten_thousand_requests(Transport::WebSocket).await;
}

/// A thousand wrong passwords at once: of a known user, and of users that nobody knows. On real
/// sockets, since a paused clock stands still while something is hashed.
async fn a_flood_of_wrong_passwords_is_rationed(transport: Transport) {
    let (lines, _guard) = log();
    let hash = chosen("ann's", Cost::Dear);
    let town = Arc::new(Town::start(Site::loopback(), transport, &[("ann", hash)]).await);
    let mut known = town.user().await;
    assert_eq!(ask(&mut known, town.web, "ann", "ann's").await, 200);
    assert_eq!(town.checks().runs, 1);

    let began = Instant::now();
    let pending = Arc::new(AtomicUsize::new(1000));
    let mut flood = JoinSet::new();
    for number in 0..1000 {
        let (town, pending) = (Arc::clone(&town), Arc::clone(&pending));
        flood.spawn(async move {
            let name = if number % 2 == 0 { "ann".into() } else { format!("nobody {number}") };
            let status = town.ask(&name, &format!("guess {number}")).await;
            pending.fetch_sub(1, Ordering::Relaxed);
            status
        });
    }
    // The same user from the same address, who is known: no request waits for a hash.
    let mut meanwhile = 0;
    while pending.load(Ordering::Relaxed) > 0 {
        assert_eq!(ask(&mut known, town.web, "ann", "ann's").await, 200);
        meanwhile += 1;
    }
    assert!(meanwhile >= 20, "only {meanwhile} requests while the others were pending");
    let statuses = flood.join_all().await;
    assert_eq!(statuses.len(), 1000);
    let wrong = statuses.iter().filter(|status| **status == 407).count();
    let busy = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(wrong + busy, 1000);
    let checks = town.checks();
    assert_eq!(checks.most_at_once, 2);
    assert_eq!(checks.runs, 1 + wrong as u64, "the others were turned away unhashed");
    // All from one address: 20 are free, and then 4 a second.
    let paced = 20 + 4 * (1 + began.elapsed().as_secs());
    assert!((2..=paced).contains(&(wrong as u64)), "{wrong} hashed, {paced} allowed");
    // One line in each window of 10 s, and together they tell how many there were.
    let windows = 1 + began.elapsed().as_secs() / 10;
    assert!((1..=windows).contains(&(lines.lock().unwrap().len() as u64)), "{lines:?}");
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(lines.lock().unwrap().iter().sum::<u64>(), 1000, "{lines:?}");
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_is_rationed_over_quic() {
    a_flood_of_wrong_passwords_is_rationed(Transport::Quic).await;
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_is_rationed_over_websocket() {
    a_flood_of_wrong_passwords_is_rationed(Transport::WebSocket).await;
}

/// What is known of the old password is of no use once there is another.
async fn a_changed_password_is_known_no_more(transport: Transport) {
    let old = chosen("old", Cost::Cheap);
    let town = Town::start(
        Site::simulated().0,
        transport,
        &[("ann", old), ("bob", chosen("bob's", Cost::Cheap))],
    )
    .await;
    let mut conn = town.user().await;
    assert_eq!(ask(&mut conn, town.web, "ann", "old").await, 200);
    assert_eq!(town.ask("bob", "bob's").await, 200);
    assert_eq!(town.checks().runs, 2);
    let Credential::Argon2id(bob) = chosen("bob's", Cost::Cheap) else { unreachable!() };
    let bob = Credential::Argon2id(bob);
    town.party.gateway.set_groups(&[people(&[("ann", chosen("new", Cost::Cheap)), ("bob", bob)])]);
    // On the same connection, too.
    assert_eq!(ask(&mut conn, town.web, "ann", "old").await, 407);
    assert_eq!(town.ask("ann", "old").await, 407);
    assert_eq!(town.ask("ann", "new").await, 200);
    // The same password under another salt is hashed again, once.
    let before = town.checks().runs;
    assert_eq!(town.ask("bob", "bob's").await, 200);
    assert_eq!(town.ask("bob", "bob's").await, 200);
    assert_eq!(town.checks().runs, before + 1);
    assert_eq!(town.ask("bob", "new").await, 407, "ann's password");
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_is_known_no_more_over_quic() {
    a_changed_password_is_known_no_more(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_is_known_no_more_over_websocket() {
    a_changed_password_is_known_no_more(Transport::WebSocket).await;
}

/// The numbers in the lines about failed log-ins, of this thread only.
type Lines = Arc<Mutex<Vec<u64>>>;

fn log() -> (Lines, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let guard = tracing::subscriber::set_default(Log(Arc::clone(&lines)));
    (lines, guard)
}

struct Log(Lines);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.message.contains("log-ins failed") {
            self.0.lock().unwrap().extend(line.failures);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    failures: Option<u64>,
}

impl Visit for Line {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "failures" {
            self.failures = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}
