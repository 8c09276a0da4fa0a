//! No file descriptor is left for a socket: who asked for it is told so, nothing else is disturbed, and it is had as
//! soon as there is one. `anyproxy::descriptors` does the same to the real programs.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyproxy_client::{Client, Forward, ForwardState, State};
use anyproxy_tests::{
    lab::{Lab, Options, Site, connected},
    party::{Party, ping},
    simulated, target,
    udp::{self, Association, Udp},
    user::{As, Refusal, Way},
};
use anyproxy_transport::{
    Transport,
    net::{AsyncUdpSocket, BoxFuture, Conn, Datagrams, Listener, Net, OutsideTime, Role},
};
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);
/// What takes longer never happens.
const LONG: Duration = Duration::from_secs(600);
const EMFILE: i32 = 24;

/// A host's network, whose process has no descriptor left while it is told so.
#[derive(Debug)]
struct Files {
    net: Arc<dyn Net>,
    none: AtomicBool,
}

impl Files {
    /// Puts itself in the place of `net`.
    fn of(net: &mut Arc<dyn Net>) -> Arc<Self> {
        let files = Arc::new(Self { net: Arc::clone(net), none: AtomicBool::new(false) });
        *net = files.clone();
        files
    }

    fn are_used_up(&self) {
        self.none.store(true, Ordering::Relaxed);
    }

    fn are_there(&self) {
        self.none.store(false, Ordering::Relaxed);
    }

    fn one(&self) -> io::Result<&dyn Net> {
        match self.none.load(Ordering::Relaxed) {
            true => Err(io::Error::from_raw_os_error(EMFILE)),
            false => Ok(&*self.net),
        }
    }
}

impl Net for Files {
    fn listen(&self, addr: SocketAddr) -> io::Result<Listener> {
        self.one()?.listen(addr)
    }

    fn connect(&self, addr: SocketAddr, role: Role) -> BoxFuture<'_, io::Result<Conn>> {
        Box::pin(async move { self.one()?.connect(addr, role).await })
    }

    fn udp(&self, addr: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        self.one()?.udp(addr)
    }

    fn datagrams(&self, local: SocketAddr, peer: Option<SocketAddr>) -> io::Result<Datagrams> {
        self.one()?.datagrams(local, peer)
    }

    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        self.net.resolve(host, port)
    }

    fn source(&self, peer: SocketAddr) -> Option<IpAddr> {
        self.net.source(peer)
    }

    fn outside_time(&self) -> Option<OutsideTime> {
        self.net.outside_time()
    }
}

/// The client has none for a target: each protocol says so in its own words.
async fn a_client_without_descriptors_is_no_fault_of_the_target(mut site: Site, over: Transport) {
    let files = Files::of(&mut site.client);
    let target = target::echo(&site);
    let lab = Lab::start(site, &Options::new(over)).await;
    let mut live = lab.connect(Way::Http, target).await;
    files.are_used_up();
    let doors = lab.doors();
    for (way, refusal) in [
        (Way::Http, Refusal::Http(503, "connection_limit_reached".into())),
        (Way::Socks5, Refusal::Socks5(1)),
    ] {
        assert_eq!(doors.connect(way, target).await.err(), Some(refusal), "{way:?}");
    }
    ping(&mut live).await.unwrap();
    files.are_there();
    for way in [Way::Http, Way::Socks5] {
        ping(&mut lab.connect(way, target).await).await.unwrap();
    }
}

/// The gateway has none for the socket of an association.
async fn an_association_without_a_descriptor_is_refused(mut site: Site, over: Transport) {
    let files = Files::of(&mut site.gateway);
    let (echo, target) = (udp::echo(&site), target::echo(&site));
    let lab = Lab::start(site, &Options::new(over)).await;
    let mut live = lab.connect(Way::Socks5, target).await;
    let user = As::default();
    let ask = || async { timeout(LONG, Association::open(&lab, &user, None)).await.unwrap() };
    files.are_used_up();
    assert_eq!(ask().await.err(), Some(Refusal::Socks5(1)));
    ping(&mut live).await.unwrap();
    files.are_there();
    let association = ask().await.unwrap();
    let (_, answer) = association.ask(&echo.ip().to_string(), echo.port(), b"hello").await;
    assert_eq!(answer, b"hello");
}

/// Why the gateway has not given the client's first and second port.
async fn refusals(client: &Client) -> Vec<String> {
    let of = |state: &State| match state {
        State::Connected { forwards, .. } => {
            let why = forwards.iter().filter_map(|forward| match forward {
                ForwardState::Refused(why) => Some(why.clone()),
                ForwardState::Requested | ForwardState::Bound(_) => None,
            });
            why.collect()
        }
        State::Connecting | State::Waiting(_) | State::Ended => vec![],
    };
    let mut state = client.state();
    let refused = timeout(LONG, state.wait_for(|state| of(state).len() == 2)).await;
    of(&refused.unwrap().unwrap())
}

/// The gateway has none for a forwarded port, of TCP or UDP.
async fn a_port_without_a_descriptor_is_asked_for_again(mut site: Site, over: Transport) {
    let files = Files::of(&mut site.gateway);
    let (echo, target) = (udp::echo(&site), target::echo(&site));
    let party = Party::start(site, Options::new(over));
    let any = SocketAddr::new(party.site.gateway_ip, 0);
    let forwards: Vec<Forward> = vec![party.any_port(target), udp::forward(any, echo)];
    files.are_used_up();
    let mut config = party.config("ports");
    config.forwards = forwards;
    let client = party.client(config);
    for why in refusals(&client).await {
        assert!(why.contains("os error 24"), "{why}");
        assert!(why.contains("where the gateway runs, raise the limit"), "{why}");
    }
    sleep(60 * SECOND).await;
    assert_eq!(refusals(&client).await.len(), 2);
    assert_eq!(party.gateway.sessions(), 1, "the session has nothing to do with it");
    files.are_there();
    let began = Instant::now();
    let ports = timeout(LONG, connected(&client)).await.unwrap();
    assert!(began.elapsed() <= 6 * SECOND, "{:?}", began.elapsed());
    ping(&mut party.user(ports[0]).await).await.unwrap();
    let user = Udp::user(&party.site);
    assert_eq!(timeout(LONG, user.ask(b"hello", ports[1])).await.unwrap(), b"hello");
}

simulated! {
    a_client_without_descriptors_is_no_fault_of_the_target
    an_association_without_a_descriptor_is_refused
    a_port_without_a_descriptor_is_asked_for_again
}
