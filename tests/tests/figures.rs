//! What gateway and client tell about themselves while the network changes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure here is the test's"
)]

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use anyproxy_client::{Choice, Client, State};
use anyproxy_tests::{
    lab::{self, GROUP, Lab, Options, Site},
    net::Switch,
    party::{Party, ping},
    target,
};
use anyproxy_transport::{LedgerFigures, Transport};
use tokio::time::{sleep, timeout};

const TRANSPORTS: [Transport; 2] = [Transport::Quic, Transport::WebSocket];
const SECOND: Duration = Duration::from_secs(1);
/// What takes longer never happens.
const LONG: Duration = Duration::from_secs(600);

fn bytes(figures: &LedgerFigures) -> (u64, u64) {
    let both = figures.totals.iter().map(|(_, _, totals)| (totals.sent, totals.received));
    both.fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1))
}

async fn carried(client: &Client, wanted: Transport) {
    let mut state = client.state();
    let there =
        |state: &State| matches!(state, State::Connected { transport, .. } if *transport == wanted);
    let _ = timeout(LONG, state.wait_for(there)).await.expect("never carried").unwrap();
}

/// A move is seen at both ends, with its reason; no counter falls when the tunnel that was left goes.
#[tokio::test(start_paused = true)]
async fn a_move_is_told_and_counters_only_grow() {
    let (site, world) = Site::simulated();
    let target = target::echo(&site);
    let party = Party::start(site, Options::new(Transport::Quic).one_connection());
    let mut config = party.config("moves");
    (config.transport, config.forwards) = (Choice::Auto, vec![party.any_port(target)]);
    let client = party.client(config);
    let port = timeout(LONG, lab::connected(&client)).await.unwrap()[0];
    let (gateway, watched) = (party.gateway.watched(), client.watched());
    let live = watched.figures().replicas[0].live.clone().unwrap();
    assert_eq!((live.transport, live.why), (Transport::Quic, "UDP passes"));
    ping(&mut party.user(port).await).await.unwrap();

    let link = world.link([198, 18, 0, 2].into(), party.site.gateway_ip);
    link.black_hole_udp(Switch::On);
    carried(&client, Transport::WebSocket).await;
    let figures = watched.figures();
    let (replica, live) = (&figures.replicas[0], figures.replicas[0].live.clone().unwrap());
    assert_eq!((replica.moves, replica.sessions, live.transport), (1, 1, Transport::WebSocket));
    assert!(live.why.contains("silent"), "{}", live.why);
    let session = gateway.figures().sessions.remove(0);
    assert_eq!((session.moves, session.transport), (1, Transport::WebSocket));
    assert_eq!(session.id, live.id, "both ends name it alike");

    let (mut here, mut there) = (bytes(&gateway.figures().tunnels), bytes(&figures.tunnels));
    // The dark tunnel dies meanwhile.
    for _ in 0..60 {
        sleep(SECOND).await;
        let now = (bytes(&gateway.figures().tunnels), bytes(&watched.figures().tunnels));
        assert!(now.0.0 >= here.0 && now.0.1 >= here.1, "{now:?} after {here:?}");
        assert!(now.1.0 >= there.0 && now.1.1 >= there.1, "{now:?} after {there:?}");
        (here, there) = now;
    }
    let tunnels = gateway.figures().tunnels;
    let of = |wanted| {
        let totals = tunnels.totals.iter().find(|(_, transport, _)| *transport == wanted);
        totals.map(|(group, _, totals)| (group.to_string(), totals.live, totals.made)).unwrap()
    };
    assert_eq!(of(Transport::Quic), (GROUP.into(), 0, 1), "{tunnels:?}");
    assert_eq!(of(Transport::WebSocket).1, 1, "{tunnels:?}");
    let lost = tunnels.losses.iter().map(|(transport, _, count)| (*transport, *count));
    assert_eq!(lost.collect::<Vec<_>>(), [(Transport::Quic, 1)], "{tunnels:?}");
    link.black_hole_udp(Switch::Off);
}

/// What was open is counted while it lives, and nothing is left when it is gone.
#[tokio::test(start_paused = true)]
async fn live_connections_come_and_go() {
    for transport in TRANSPORTS {
        let (site, _world) = Site::simulated();
        let echo = target::echo(&site);
        let lab = Lab::start(site, &Options::new(transport).forwards(&[echo])).await;
        let (gateway, client) = (lab.gateway.watched(), lab.client.watched());
        let live = || {
            let figures = gateway.figures();
            let group = figures.groups.iter().find(|group| &*group.name == GROUP).unwrap();
            (group.connections, figures.sessions[0].connections, client.figures().connections)
        };
        assert_eq!(live(), (0, 0, 0));
        let mut users = Vec::new();
        for _ in 0..3 {
            let mut user = connect(&lab, lab.ports[0]).await;
            ping(&mut user).await.unwrap();
            users.push(user);
        }
        assert_eq!(live(), (3, 3, 3));
        let rtt = gateway.figures().sessions[0].stats.rtt;
        assert!(rtt >= Duration::from_millis(20), "{transport}: {rtt:?}");
        drop(users);
        sleep(10 * SECOND).await;
        assert_eq!(live(), (0, 0, 0));
        let opens = gateway.figures().opens;
        assert_eq!(opens.took.count, 3, "{opens:?}");
        // A round trip to the client and one from there to the target.
        assert!(opens.took.sum >= 3 * Duration::from_millis(40), "{opens:?}");
    }
}

async fn connect(lab: &Lab, port: SocketAddr) -> anyproxy_transport::net::Conn {
    lab.site.user.connect(port, anyproxy_transport::net::Role::Proxied).await.unwrap()
}

/// While nothing leads to the gateway the client says why, and counts each time.
#[tokio::test(start_paused = true)]
async fn failures_are_kept_with_their_reason() {
    for transport in TRANSPORTS {
        let (site, _world) = Site::simulated();
        let party = Party::start(site, Options::new(transport));
        let mut config = party.config("alone");
        config.group = "unknown".into();
        let client = party.client(config);
        let watched = client.watched();
        let waiting = |state: &State| matches!(state, State::Waiting(_));
        let _ = timeout(LONG, client.state().wait_for(waiting)).await.unwrap().unwrap();
        let figures = watched.figures();
        assert!(!watched.is_connected());
        assert_eq!(figures.failures, [("unauthorised".to_owned(), 1)]);
        let last = figures.last_failure.unwrap();
        assert!(last.text.contains("check group and secret"), "{last:?}");
        assert!(last.at <= SystemTime::now());
        let refused = party.gateway.watched().figures().no_session;
        let refused = refused.iter().map(|(why, count)| (why.to_string(), *count));
        assert_eq!(refused.collect::<Vec<_>>(), [("unauthorised".to_owned(), 1)]);
    }
}
