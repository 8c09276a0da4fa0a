//! Users learn the true reason of a failure, in their own protocol, in time (Conformance case 3, 4, 14).

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyproxy_tests::{
    lab::{GROUP, Lab, Options, SECRET, Site},
    net::{Connects, LinkHandle, Switch, World},
    target,
    user::{As, Refusal, WAYS, Way, eventually, read_all},
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::{io::AsyncWriteExt as _, time::Instant};

/// The client's address in the simulated network.
const CLIENT: &str = "198.18.0.2";

fn client() -> IpAddr {
    CLIENT.parse().unwrap()
}

fn to_target(site: &Site, world: &World) -> LinkHandle {
    world.link(client(), site.target_ip)
}

fn tunnel(site: &Site, world: &World) -> LinkHandle {
    world.link(client(), site.gateway_ip)
}

/// What the three kinds of proxy user are to be told about one target.
struct Case {
    host: String,
    port: u16,
    user: As,
    http: (u16, &'static str),
    socks5: u16,
}

impl Case {
    fn new(target: SocketAddr, http: (u16, &'static str), socks5: u16) -> Self {
        let (host, port) = (target.ip().to_string(), target.port());
        Self { host, port, user: As::default(), http, socks5 }
    }

    fn by(mut self, name: &'static str, password: &'static str) -> Self {
        self.user = As { name, password };
        self
    }

    fn named(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// Returns how long the slowest user waited.
    async fn check(&self, lab: &Lab) -> Duration {
        let target = format!("{}:{}", self.host, self.port);
        let http = Refusal::Http(self.http.0, self.http.1.into());
        let doors = lab.doors();
        let (connect, get, socks) = tokio::join!(
            timed(doors.http_connect(&target, &self.user)),
            timed(doors.http_get(&target, &self.user)),
            timed(doors.socks5_connect(&self.host, self.port, &self.user)),
        );
        assert_eq!(connect.0, Some(http.clone()), "CONNECT {target}");
        assert_eq!(get.0, Some(http), "GET {target}");
        assert_eq!(socks.0, Some(Refusal::Socks5(self.socks5)), "SOCKS5 {target}");
        connect.1.max(get.1).max(socks.1)
    }
}

/// The refusal, and how long it took.
async fn timed<T>(told: impl Future<Output = Result<T, Refusal>>) -> (Option<Refusal>, Duration) {
    let began = Instant::now();
    (told.await.err(), began.elapsed())
}

async fn every_reason_is_told(site: Site, transport: Transport) {
    let echo = target::echo(&site);
    let nobody = target::nobody(&site);
    let mut options = Options::new(transport).forwards(&[nobody]);
    options.deny = vec![format!("{}:{}", echo.ip(), echo.port())];
    let lab = Lab::start(site, &options).await;
    let other = target::echo(&lab.site);
    let cases = [
        Case::new(other, (407, "http_request_denied"), 0xff01).by(GROUP, "wrong"),
        Case::new(other, (407, "http_request_denied"), 0xff01).by("nobody", SECRET),
        Case::new(nobody, (502, "connection_refused"), 0x05),
        Case::new(echo, (403, "http_request_denied"), 0x02),
        Case::new(other, (503, "destination_unavailable"), 0x01).by("empty", SECRET),
    ];
    for case in &cases {
        case.check(&lab).await;
        drop(lab.connect(Way::Http, other).await);
    }
    for first in [&b""[..], b"first bytes"] {
        let mut user = lab.connect(Way::Forward, nobody).await;
        let _ = user.write_all(first).await;
        let seen = read_all(&mut user).await;
        assert_eq!(seen, (vec![], Err(std::io::ErrorKind::ConnectionReset)));
    }
}

#[tokio::test]
async fn every_reason_is_told_over_quic() {
    every_reason_is_told(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn every_reason_is_told_over_websocket() {
    every_reason_is_told(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn every_reason_is_told_over_quic_simulated() {
    every_reason_is_told(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn every_reason_is_told_over_websocket_simulated() {
    every_reason_is_told(Site::simulated().0, Transport::WebSocket).await;
}

/// What only a simulated network can do.
async fn every_way_to_a_target_that_fails_is_told(transport: Transport) {
    let (site, world) = Site::simulated();
    let echo = target::echo(&site);
    let lab = Lab::start(site, &Options::new(transport)).await;
    world.name_fails("broken.test", std::io::ErrorKind::TimedOut);
    Case::new(echo, (502, "dns_error"), 0x04).named("nowhere.test").check(&lab).await;
    Case::new(echo, (504, "dns_timeout"), 0x04).named("broken.test").check(&lab).await;
    let link = to_target(&lab.site, &world);
    link.connects(Connects::HostUnreachable);
    Case::new(echo, (502, "destination_ip_unroutable"), 0x04).check(&lab).await;
    link.connects(Connects::NetworkUnreachable);
    let took = Case::new(echo, (502, "destination_ip_unroutable"), 0x03).check(&lab).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn every_way_to_a_target_that_fails_is_told_over_quic() {
    every_way_to_a_target_that_fails_is_told(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn every_way_to_a_target_that_fails_is_told_over_websocket() {
    every_way_to_a_target_that_fails_is_told(Transport::WebSocket).await;
}

/// The proxy deadline, and the round trips of the slowest user's log-in.
fn is_the_deadline(took: Duration) -> bool {
    (Duration::from_secs(30)..=Duration::from_millis(30_100)).contains(&took)
}

async fn a_black_hole_is_told_at_the_deadline(transport: Transport) {
    let (site, world) = Site::simulated();
    let echo = target::echo(&site);
    let options = Options::new(transport).one_connection().forwards(&[echo]);
    let lab = Lab::start(site, &options).await;
    let (tasks, connections) = (lab.gateway.tasks(), world.connections());
    to_target(&lab.site, &world).black_hole(Switch::On);
    let took = Case::new(echo, (504, "connection_timeout"), 0x04).check(&lab).await;
    assert!(is_the_deadline(took), "{took:?}");

    let began = Instant::now();
    let mut user = lab.connect(Way::Forward, echo).await;
    let seen = read_all(&mut user).await;
    assert_eq!(seen, (vec![], Err(std::io::ErrorKind::ConnectionReset)));
    assert!(is_the_deadline(began.elapsed()), "{:?}", began.elapsed());
    drop(user);
    let soon = Duration::from_secs(1);
    eventually("nothing is left", soon, || {
        lab.gateway.tasks() == tasks && world.connections() == connections
    })
    .await;

    world.lookup_delay(Duration::from_secs(90));
    let took =
        Case::new(echo, (504, "connection_timeout"), 0x04).named("target.test").check(&lab).await;
    assert!(is_the_deadline(took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_told_at_the_deadline_over_quic() {
    a_black_hole_is_told_at_the_deadline(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_is_told_at_the_deadline_over_websocket() {
    a_black_hole_is_told_at_the_deadline(Transport::WebSocket).await;
}

/// How a session goes away while an open waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The client's process is stopped hard.
    Cancelled,
    /// The client's process shuts down and cuts what is left.
    ShutDown,
    /// Nothing passes any more.
    Silence,
}

async fn a_session_lost_while_opening_is_told(transport: Transport, loss: Loss) {
    let (site, world) = Site::simulated();
    let echo = target::echo(&site);
    let mut options = Options::new(transport).forwards(&[echo]);
    options.limits.dead_after = Duration::from_secs(12);
    options.limits.ping_interval = Duration::from_secs(4);
    let lab = Lab::start(site, &options).await;
    to_target(&lab.site, &world).black_hole(Switch::On);
    let (doors, link) = (lab.doors(), tunnel(&lab.site, &world));
    let forwarded = async {
        let mut user = doors.connect(Way::Forward, echo).await.unwrap();
        read_all(&mut user).await
    };
    let scope = lab.client.scope();
    let lose = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match loss {
            Loss::Cancelled => scope.cancel(),
            Loss::ShutDown => {
                scope.drain();
                tokio::time::sleep(Duration::from_secs(2)).await;
                scope.cancel();
            }
            Loss::Silence => link.black_hole(Switch::On),
        }
    };
    let case = Case::new(echo, (503, "destination_unavailable"), 0x01);
    let (took, seen, ()) = tokio::join!(case.check(&lab), forwarded, lose);
    assert_eq!(seen, (vec![], Err(std::io::ErrorKind::ConnectionReset)));
    let most = match loss {
        Loss::Cancelled => Duration::from_millis(1_100),
        Loss::ShutDown => Duration::from_millis(3_100),
        Loss::Silence => Duration::from_millis(13_100),
    };
    assert!(took <= most, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_session_lost_while_opening_is_told_over_quic() {
    for loss in [Loss::Cancelled, Loss::ShutDown, Loss::Silence] {
        a_session_lost_while_opening_is_told(Transport::Quic, loss).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_lost_while_opening_is_told_over_websocket() {
    for loss in [Loss::Cancelled, Loss::ShutDown, Loss::Silence] {
        a_session_lost_while_opening_is_told(Transport::WebSocket, loss).await;
    }
}

/// How a user goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Close,
    Reset,
}

impl Leave {
    fn leave(self, user: Conn) {
        match self {
            Self::Close => drop(user),
            Self::Reset => user.abort(),
        }
    }
}

async fn a_user_who_leaves_while_dialling_leaves_nothing(transport: Transport) {
    let (site, world) = Site::simulated();
    let echo = target::echo(&site);
    let options = Options::new(transport).one_connection().forwards(&[echo]);
    let lab = Lab::start(site, &options).await;
    let link = to_target(&lab.site, &world);
    let baseline = || (lab.gateway.tasks(), lab.client.tasks(), world.connections());
    let before = baseline();
    link.black_hole(Switch::On);
    // A close at a forwarded port cannot be told from a half-close, so only a reset is leaving.
    let cases = WAYS
        .into_iter()
        .flat_map(|way| [(way, Leave::Close), (way, Leave::Reset)])
        .filter(|case| *case != (Way::Forward, Leave::Close));
    for (way, leave) in cases {
        let (mut user, ahead) = lab.doors().hasty(way, echo).await.unwrap();
        user.write_all(&ahead).await.unwrap();
        let dialling = || world.connections() > before.2 + 1;
        eventually("the target is dialled", Duration::from_secs(1), dialling).await;
        leave.leave(user);
        let what = format!("{way:?} {leave:?}: nothing is left");
        eventually(&what, Duration::from_secs(3), || baseline() == before).await;
    }
    link.black_hole(Switch::Off);
    drop(lab.connect(Way::Http, echo).await);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_leaves_while_dialling_leaves_nothing_over_quic() {
    a_user_who_leaves_while_dialling_leaves_nothing(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_leaves_while_dialling_leaves_nothing_over_websocket() {
    a_user_who_leaves_while_dialling_leaves_nothing(Transport::WebSocket).await;
}

/// A user whom a stopping gateway cuts off gets no 200 and no half answer.
async fn a_gateway_that_stops_while_opening_gives_no_false_answer(transport: Transport) {
    let (site, world) = Site::simulated();
    let echo = target::echo(&site);
    let lab = Lab::start(site, &Options::new(transport)).await;
    to_target(&lab.site, &world).black_hole(Switch::On);
    let doors = lab.doors();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lab.gateway.scope().cancel();
    };
    let (http, socks5, ()) =
        tokio::join!(doors.connect(Way::Http, echo), doors.connect(Way::Socks5, echo), stop);
    for told in [http, socks5] {
        assert!(matches!(told, Err(Refusal::Broken(_))), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_while_opening_gives_no_false_answer_over_quic() {
    a_gateway_that_stops_while_opening_gives_no_false_answer(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_stops_while_opening_gives_no_false_answer_over_websocket() {
    a_gateway_that_stops_while_opening_gives_no_false_answer(Transport::WebSocket).await;
}

/// A reachable target is reached, however many users come at the same moment.
async fn users_who_come_at_once_all_get_through(transport: Transport) {
    let site = Site::loopback();
    let echo = target::echo(&site);
    let lab = Lab::start(site, &Options::new(transport)).await;
    let mut users = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let doors = lab.doors();
        users.spawn(async move {
            for _ in 0..60 {
                drop(doors.connect(Way::Socks5, echo).await.unwrap());
            }
        });
    }
    users.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_who_come_at_once_all_get_through_over_quic() {
    users_who_come_at_once_all_get_through(Transport::Quic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn users_who_come_at_once_all_get_through_over_websocket() {
    users_who_come_at_once_all_get_through(Transport::WebSocket).await;
}
