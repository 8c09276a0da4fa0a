//! UDP flows at the client, seen through the gateway's door.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is the test's"
)]

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyproxy_client::{Client, ClientConfig, Ended, Forward};
use anyproxy_tests::{
    lab::{Options, Site, client_config},
    net::World,
    tunnels::{Door, opening},
    wait::until,
};
use anyproxy_transport::{
    Flow, Opening, Sent, Stream, StreamError, Transport, Tunnel, net::Datagrams,
};
use anyproxy_wire::{
    codes::{OpenCode, StreamCode},
    frame::Frame,
    message::{Ingress, Protocol, Target},
};
use bytes::Bytes;
use tokio::time::Instant;

const BOTH: [Transport; 2] = [Transport::Quic, Transport::WebSocket];

const LARGEST: usize = 65_507;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

struct Party {
    client: Client,
    tunnel: Tunnel,
    door: Door,
    /// A target's socket.
    target: Datagrams,
}

impl Party {
    async fn on(site: Site, transport: Transport, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let target = site.target.datagrams(SocketAddr::new(site.target_ip, 0), None).unwrap();
        let door = Door::open(site);
        let options = Options::new(transport);
        let mut config = client_config(&door.site, &options, &door.certificates, door.addr());
        config.forwards = vec![Forward {
            name: "dns".into(),
            listen: "0.0.0.0:53".into(),
            target: target.local_addr().unwrap().to_string(),
            protocol: Protocol::Udp,
            ..Forward::default()
        }];
        change(&mut config);
        let client = Client::start(config, door.site.client.clone(), secs(10)).unwrap();
        let tunnel = door.welcome().await;
        Self { client, tunnel, door, target }
    }

    async fn start(transport: Transport, change: impl FnOnce(&mut ClientConfig)) -> (Self, World) {
        let (site, world) = Site::simulated();
        (Self::on(site, transport, change).await, world)
    }

    fn address(&self) -> SocketAddr {
        self.target.local_addr().unwrap()
    }

    async fn ask(&self, opening: &Opening) -> (Stream, OpenCode, Option<SocketAddr>) {
        let mut stream = self.tunnel.open(opening).await.unwrap();
        let reply = stream.reply().await.unwrap();
        (stream, reply.code, reply.address)
    }

    /// A flow to the forward's target.
    async fn flow(&self) -> Flow {
        let (stream, code, address) = self.ask(&opening(Protocol::Udp)).await;
        assert_eq!((code, address), (OpenCode::Connected, Some(self.address())));
        Flow::new(stream)
    }

    /// What comes to the target while `flow` moves what it has.
    async fn asked(&self, flow: &mut Flow) -> (Vec<u8>, SocketAddr) {
        let mut buf = vec![0; LARGEST];
        let received = tokio::select! {
            received = self.target.recv(&mut buf) => received.unwrap(),
            other = flow.recv() => panic!("the user received {other:?}"),
        };
        buf.truncate(received.length);
        (buf, received.from)
    }

    fn answer(&self, payload: &[u8], to: SocketAddr) {
        self.target.try_send(payload, to, None).unwrap();
    }
}

fn named(target: &str) -> Opening {
    let target = Target::Name(target.into());
    Opening { ingress: Ingress::Socks5, target, ..opening(Protocol::Udp) }
}

#[tokio::test(start_paused = true)]
async fn a_forward_says_that_it_is_for_udp() {
    for transport in BOTH {
        let (party, _world) = Party::start(transport, |_| {}).await;
        let Ok(Frame::ForwardRequest(request)) = party.tunnel.recv_control().await else {
            panic!("no request")
        };
        assert_eq!((request.id, request.protocol), (0, Protocol::Udp), "{transport}");
    }
}

#[tokio::test(start_paused = true)]
async fn datagrams_reach_the_target_and_any_number_of_answers_comes_back() {
    for transport in BOTH {
        let (party, _world) = Party::start(transport, |_| {}).await;
        let mut flow = party.flow().await;
        let mut port = None;
        for size in [4, 0, 1200, 1500, 9000, LARGEST] {
            let sent = vec![size as u8; size];
            assert_eq!(flow.send(&sent), Sent::Queued);
            let (got, from) = party.asked(&mut flow).await;
            assert_eq!(got, sent, "{transport}");
            assert_eq!(*port.get_or_insert(from), from, "one socket for the whole flow");
            party.answer(&sent, from);
            assert_eq!(flow.recv().await, Ok(Some(Bytes::from(sent))), "{transport}");
        }
        let from = port.unwrap();
        for number in 0..20 {
            party.answer(&[number], from);
        }
        for number in 0..20 {
            assert_eq!(flow.recv().await.unwrap().unwrap(), [number][..]);
        }
        tokio::time::sleep(secs(30)).await;
        party.answer(b"nobody asked", from);
        assert_eq!(flow.recv().await.unwrap().unwrap(), "nobody asked");
        assert_eq!((party.client.flows(), party.client.dropped_datagrams()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_but_the_target_is_heard() {
    for transport in BOTH {
        let (party, _world) = Party::start(transport, |_| {}).await;
        let mut flow = party.flow().await;
        assert_eq!(flow.send(b"?"), Sent::Queued);
        let (_, from) = party.asked(&mut flow).await;
        let site = &party.door.site;
        let stranger = site.target.datagrams(SocketAddr::new(site.target_ip, 0), None).unwrap();
        stranger.try_send(b"stranger", from, None).unwrap();
        tokio::time::sleep(secs(1)).await;
        party.answer(b"target", from);
        assert_eq!(flow.recv().await.unwrap().unwrap(), "target", "{transport}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_resolved_at_the_client_and_what_comes_out_meets_the_policy() {
    for transport in BOTH {
        let deny = |config: &mut ClientConfig| {
            let deny = ["198.18.0.9".to_owned(), "denied.test".to_owned()];
            config.policy = anyproxy_client::egress::Policy::parse(&[], &deny).unwrap();
        };
        let (party, world) = Party::start(transport, deny).await;
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        world.name("both.test", &[ip("198.18.0.9"), ip("198.18.0.4")]);
        world.name("rebound.test", &[ip("198.18.0.9")]);
        world.name("denied.test", &[ip("198.18.0.4")]);
        let port = party.address().port();
        for name in ["target.test", "both.test"] {
            let (stream, code, address) = party.ask(&named(&format!("{name}:{port}"))).await;
            assert_eq!((code, address), (OpenCode::Connected, Some(party.address())), "{name}");
            let mut flow = Flow::new(stream);
            assert_eq!(flow.send(name.as_bytes()), Sent::Queued);
            assert_eq!(party.asked(&mut flow).await.0, name.as_bytes());
        }
        let cases = [
            ("rebound.test", OpenCode::Denied),
            ("denied.test", OpenCode::Denied),
            ("198.18.0.9", OpenCode::Denied),
            ("[::ffff:198.18.0.9]", OpenCode::Denied),
            ("nowhere.test", OpenCode::NameNotFound),
        ];
        for (host, expected) in cases {
            let (_, code, _) = party.ask(&named(&format!("{host}:{port}"))).await;
            assert_eq!(code, expected, "{transport} {host}");
        }
        let tcp = Opening { protocol: Protocol::Tcp, ..opening(Protocol::Tcp) };
        let (_, code, _) = party.ask(&tcp).await;
        assert_eq!(code, OpenCode::UnknownForward, "a forward's target is for its own protocol");
        tokio::time::sleep(secs(1)).await;
        assert_eq!(party.client.flows(), 0, "none is left behind");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flow_ends_when_nothing_has_moved_for_a_minute() {
    for transport in BOTH {
        let (party, _world) = Party::start(transport, |_| {}).await;
        let mut flow = party.flow().await;
        assert_eq!(flow.send(b"?"), Sent::Queued);
        let (_, from) = party.asked(&mut flow).await;
        for _ in 0..4 {
            tokio::time::sleep(secs(50)).await;
            party.answer(b"!", from);
            assert_eq!(flow.recv().await.unwrap().unwrap(), "!", "answers keep it");
            tokio::time::sleep(secs(50)).await;
            assert_eq!(flow.send(b"?"), Sent::Queued);
            party.asked(&mut flow).await;
        }
        let rested = Instant::now();
        assert_eq!(flow.recv().await, Ok(None), "{transport}");
        let rested = rested.elapsed();
        assert!(rested >= secs(60) - Duration::from_millis(20) && rested < secs(61), "{rested:?}");
        assert_eq!(party.client.flows(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_forward_may_have_its_own_idle_time() {
    for transport in BOTH {
        let short = |config: &mut ClientConfig| config.forwards[0].idle_timeout = Some(secs(5));
        let (party, _world) = Party::start(transport, short).await;
        let mut flow = party.flow().await;
        let began = Instant::now();
        assert_eq!(flow.recv().await, Ok(None), "{transport}");
        assert!(began.elapsed() < secs(6), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn flows_over_the_limit_are_refused_and_an_ended_one_makes_room() {
    for transport in BOTH {
        let few = |config: &mut ClientConfig| config.limits.max_flows = 3;
        let (party, _world) = Party::start(transport, few).await;
        let mut flows = vec![party.flow().await, party.flow().await, party.flow().await];
        let (_, code, _) = party.ask(&opening(Protocol::Udp)).await;
        assert_eq!(code, OpenCode::Overloaded, "{transport}");
        flows.pop().unwrap().end();
        drop(flows.pop());
        tokio::time::sleep(secs(1)).await;
        assert_eq!(party.client.flows(), 1);
        flows.extend([party.flow().await, party.flow().await]);
    }
}

#[tokio::test(start_paused = true)]
async fn flows_end_with_their_tunnel() {
    for transport in BOTH {
        let (party, _world) = Party::start(transport, |_| {}).await;
        let _flows = [party.flow().await, party.flow().await];
        assert_eq!(party.client.flows(), 2);
        party.tunnel.close(anyproxy_wire::codes::CloseCode::Internal, "");
        tokio::time::sleep(secs(1)).await;
        assert_eq!(party.client.flows(), 0, "{transport}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resting_flow_does_not_hold_up_a_shutdown() {
    for transport in BOTH {
        let (party, _world) = Party::start(transport, |_| {}).await;
        let mut flow = party.flow().await;
        let began = Instant::now();
        let shut_down = party.client.shutdown(secs(10));
        let (ended, over) = tokio::join!(shut_down, flow.recv());
        assert_eq!(ended, Ended::Drained, "{transport}");
        assert!(matches!(over, Ok(None)), "{transport}: {over:?}");
        assert!(began.elapsed() < secs(4), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_cannot_wait_resets_flows() {
    for transport in BOTH {
        let (party, _world) = Party::start(transport, |_| {}).await;
        let mut flow = party.flow().await;
        let (ended, over) = tokio::join!(party.client.shutdown(Duration::ZERO), flow.recv());
        assert_eq!(ended, Ended::Cut(1), "{transport}");
        let expected = matches!(
            over,
            Err(StreamError::TunnelLost(_) | StreamError::Reset(StreamCode::Cancelled))
        );
        assert!(expected, "{transport}: {over:?}");
    }
}

/// On real sockets, for only a kernel sends ICMP.
#[tokio::test]
async fn a_target_that_is_not_there_may_come_back() {
    for transport in BOTH {
        let party = Party::on(Site::loopback(), transport, |_| {}).await;
        let mut flow = party.flow().await;
        let Party { client, tunnel: _tunnel, door, target } = party;
        let address = target.local_addr().unwrap();
        drop(target);
        for told in 1..4 {
            assert_eq!(flow.send(b"to nobody"), Sent::Queued);
            tokio::select! {
                () = until(&door.site, || client.unreachable_targets() >= told) => {}
                over = flow.recv() => panic!("{transport}: {over:?}"),
            }
        }
        let target = door.site.target.datagrams(address, None).unwrap();
        assert_eq!(flow.send(b"?"), Sent::Queued);
        let mut buf = [0; 16];
        let received = tokio::select! {
            received = target.recv(&mut buf) => received.unwrap(),
            other = flow.recv() => panic!("{transport}: {other:?}"),
        };
        assert_eq!(&buf[..received.length], b"?");
        target.try_send(b"!", received.from, received.to).unwrap();
        assert_eq!(flow.recv().await.unwrap().unwrap(), "!");
        assert_eq!(client.flows(), 1);
    }
}
