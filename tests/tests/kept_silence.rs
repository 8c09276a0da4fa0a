//! Plain requests over kept connections whose client has fallen silent.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyproxy_client::Client;
use anyproxy_tests::{
    lab::{GROUP, Options, SECRET, Site, connected},
    net::{Switch, World},
    party::Party,
    target,
    user::{base64, read_head},
};
use anyproxy_transport::{
    Transport,
    net::{Conn, Role},
};
use tokio::{
    io::AsyncWriteExt as _,
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);

/// Two clients on hosts of their own, and a target that answers each request after a while.
struct Two {
    party: Party,
    world: World,
    target: SocketAddr,
    asked: Arc<AtomicUsize>,
    _clients: [Client; 2],
}

fn second() -> IpAddr {
    [198, 18, 0, 5].into()
}

impl Two {
    async fn start(transport: Transport, pause: Duration) -> Self {
        let (site, world) = Site::simulated();
        let asked = Arc::new(AtomicUsize::new(0));
        let target = slow(&site, pause, asked.clone());
        let party = Party::start(site, Options::new(transport));
        let a = party.client(party.config("a"));
        connected(&a).await;
        let b = party.client_at(world.host("second", second()).net(), party.config("b"));
        connected(&b).await;
        Self { party, world, target, asked, _clients: [a, b] }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn link(&self, switch: Switch) {
        self.world.link(self.party.site.gateway_ip, second()).black_hole(switch);
    }

    async fn user(&self) -> Conn {
        let http = self.party.gateway.addresses().http[0];
        self.party.site.user.connect(http, Role::Proxied).await.unwrap()
    }

    /// So many users, each with a kept connection of its own; half of them at either client.
    async fn users(&self, count: usize) -> Vec<Conn> {
        let mut users = Vec::new();
        for _ in 0..count {
            users.push(self.user().await);
        }
        // All at once: else the second one would use the first one's.
        for user in &mut users {
            ask(user, self.target, "GET").await;
        }
        for user in &mut users {
            assert!(read_head(user).await.unwrap().starts_with("HTTP/1.1 204 "));
        }
        users
    }
}

/// A target that answers each request after `pause`.
fn slow(site: &Site, pause: Duration, asked: Arc<AtomicUsize>) -> SocketAddr {
    target::serve(site, move |mut conn| {
        let asked = asked.clone();
        async move {
            while read_head(&mut conn).await.is_ok_and(|head| head.contains(" / ")) {
                asked.fetch_add(1, Ordering::Relaxed);
                sleep(pause).await;
                let _ = conn.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        }
    })
}

async fn ask(user: &mut Conn, target: SocketAddr, method: &str) {
    let login = base64(format!("{GROUP}:{SECRET}").as_bytes());
    let request = format!(
        "{method} http://{target}/ HTTP/1.1\r\nHost: {target}\r\n\
         Proxy-Authorization: Basic {login}\r\n\r\n"
    );
    user.write_all(request.as_bytes()).await.unwrap();
}

/// A client falls silent, as one does that is killed. Those whose kept connection it carries learn it
/// within a moment and are served by the other one; nobody is sent there any more.
async fn requests_over_kept_connections_turn_to_another_session(transport: Transport) {
    let two = Two::start(transport, SECOND / 100).await;
    let mut users = two.users(6).await;
    sleep(7 * SECOND).await;
    two.link(Switch::On);
    let began = Instant::now();
    for user in &mut users {
        ask(user, two.target, "GET").await;
    }
    let mut late = 0;
    for user in &mut users {
        assert!(read_head(user).await.unwrap().starts_with("HTTP/1.1 204 "));
        assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
        late += usize::from(began.elapsed() > SECOND / 4);
    }
    assert!(late > 0, "nobody met the silent one");
    assert_eq!(two.party.gateway.sessions(), 2, "its session has not ended");
    for user in &mut users {
        let began = Instant::now();
        ask(user, two.target, "GET").await;
        assert!(read_head(user).await.unwrap().starts_with("HTTP/1.1 204 "));
        assert!(began.elapsed() < SECOND / 4, "{:?}", began.elapsed());
    }
    assert_eq!(two.asked(), 18, "each was asked once");
}

/// Idle tunnels, and targets that take longer than any silence may last.
async fn a_slow_target_is_asked_once(transport: Transport) {
    let two = Two::start(transport, 5 * SECOND).await;
    let mut users = two.users(2).await;
    for asked in 1..4 {
        // One behind the other, a moment apart, so that nothing else moves.
        for user in &mut users {
            ask(user, two.target, "GET").await;
            assert!(read_head(user).await.unwrap().starts_with("HTTP/1.1 204 "));
        }
        assert_eq!(two.asked(), 2 + 2 * asked);
    }
}

/// Both clients are out of reach for a moment, so that there is nowhere to turn to: who has asked
/// waits on, and is answered.
async fn clients_that_are_heard_again_answer(transport: Transport) {
    let two = Two::start(transport, SECOND / 100).await;
    let mut users = two.users(2).await;
    let gateway = two.party.site.gateway_ip;
    let first = two.world.link(gateway, [198, 18, 0, 2].into());
    two.link(Switch::On);
    first.black_hole(Switch::On);
    for user in &mut users {
        ask(user, two.target, "GET").await;
    }
    sleep(2 * SECOND).await;
    two.link(Switch::Off);
    first.black_hole(Switch::Off);
    let began = Instant::now();
    for user in &mut users {
        assert!(read_head(user).await.unwrap().starts_with("HTTP/1.1 204 "));
    }
    assert!(began.elapsed() < 10 * SECOND, "{:?}", began.elapsed());
}

macro_rules! both {
    ($($case:ident)+) => { $(
        mod $case {
            use anyproxy_transport::Transport;

            #[tokio::test(start_paused = true)]
            async fn over_quic() {
                super::$case(Transport::Quic).await;
            }

            #[tokio::test(start_paused = true)]
            async fn over_websocket() {
                super::$case(Transport::WebSocket).await;
            }
        }
    )+ };
}

both! {
    requests_over_kept_connections_turn_to_another_session
    a_slow_target_is_asked_once
    clients_that_are_heard_again_answer
}
