//! Datagrams: at the tunnels' UDP port, and at a forwarded one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_tests::{
    cases::{TOO_LONG_SIMULATED, limited},
    footprint::Footprint,
    lab::{self, Certificates, Lab, Options, Site},
    net::Datagrams,
    target,
    udp::{self, Udp},
    user::WAYS,
};
use anyproxy_transport::Transport;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep,
};

use crate::{ALONE, FIRST, GROWTH, STRANGERS, bytes::Random};

/// Longer than any handshake or idle flow lives.
const AGES: Duration = Duration::from_secs(120);
/// Datagrams between two moments of rest: no more than the simulated network takes at once.
const BURST: usize = 50;

#[tokio::test(start_paused = true)]
async fn datagrams_at_the_tunnels_leave_nothing() {
    let _alone = ALONE.lock().await;
    limited(TOO_LONG_SIMULATED, async {
        let site = Site::simulated().0;
        let target = target::echo(&site);
        let certificates = Certificates::new(&["gateway.test"]);
        let options = Options::new(Transport::Quic).forwards(&[target]);
        let gateway = lab::start_gateway(&site, &options, &certificates);
        let addr = gateway.addresses().tunnels;
        let client = lab::start_client(&site, &options, &certificates, addr);
        let ports = lab::connected(&client).await;
        let initial = first_packet(&site).await;
        let lab = Lab { gateway, client, site, ports };
        sleep(AGES).await;

        let calm = Footprint::now();
        throw(&lab.site, addr, FIRST, &initial).await;
        sleep(AGES).await;
        calm.is_back(u64::MAX / 2).await;
        let before = Footprint { memory: Footprint::now().memory, ..calm };
        throw(&lab.site, addr, STRANGERS, &initial).await;
        // In the middle of all those handshakes.
        serves(&lab, target).await;
        sleep(AGES).await;
        before.is_back(GROWTH).await;
        assert_eq!(lab.gateway.sessions(), 1);
    })
    .await;
}

/// Each from a port of its own.
async fn throw(site: &Site, to: SocketAddr, datagrams: usize, initial: &[u8]) {
    for number in 0..datagrams {
        let from = SocketAddr::new([198, 18, 0, 3].into(), 0);
        let stranger = Datagrams::bind(&*site.user, from).unwrap();
        let mut random = Random::new(number);
        let bytes = match number % 5 {
            0 => random.bytes(1400),
            1 => initial[..random.below(initial.len())].to_vec(),
            // What begins a handshake, which nobody goes on with.
            2 => initial.to_vec(),
            3 => {
                let mut changed = initial.to_vec();
                let at = random.below(changed.len());
                changed[at] ^= 1 << random.below(8);
                changed
            }
            // A short header: of a connection that is not there.
            _ => [&[0x40], &random.bytes(1200)[..]].concat(),
        };
        stranger.send_to(&bytes, to).unwrap();
        if number.is_multiple_of(BURST) {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The first packet of an honest client's handshake.
async fn first_packet(site: &Site) -> Vec<u8> {
    let trap = Datagrams::bind(&*site.target, SocketAddr::new(site.target_ip, 0)).unwrap();
    let to = trap.local_addr().unwrap();
    let to = SocketAddr::new(site.target_ip, to.port());
    let certificates = Certificates::new(&["gateway.test"]);
    let client = lab::start_client(site, &Options::new(Transport::Quic), &certificates, to);
    loop {
        let (packet, _) = trap.recv_from().await.unwrap();
        // An Initial fills a datagram (RFC 9000, 14.1); before it comes a probe.
        if packet.len() >= 1200 {
            client.shutdown(Duration::ZERO).await;
            return packet;
        }
    }
}

async fn serves(lab: &Lab, target: SocketAddr) {
    for way in WAYS {
        let mut conn = lab.connect(way, target).await;
        conn.write_all(b"honest").await.unwrap();
        let mut got = [0; 6];
        conn.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"honest");
    }
}

async fn datagrams_at_a_forwarded_port_leave_nothing(transport: Transport) {
    let _alone = ALONE.lock().await;
    limited(TOO_LONG_SIMULATED, async {
        let site = Site::simulated().0;
        let target = udp::echo(&site);
        let lab = udp::lab(site, &Options::new(transport), &[target]).await;
        let lab = Arc::new(lab);
        let port = lab.ports[0];
        sleep(AGES).await;
        let calm = Footprint::now();
        for strangers in [FIRST, STRANGERS] {
            let before = Footprint { memory: Footprint::now().memory, ..calm };
            for number in 0..strangers {
                Udp::user(&lab.site).send(&Random::new(number).bytes(1200), port);
                if number.is_multiple_of(BURST) {
                    sleep(Duration::from_millis(20)).await;
                }
            }
            // The port has as many flows as it may: the idlest gives way to who comes now.
            let honest = Udp::user(&lab.site);
            let mut answer = None;
            while answer.is_none() {
                honest.send(b"honest", port);
                answer = honest.recv_within(Duration::from_secs(1)).await;
            }
            assert_eq!(answer.as_deref(), Some(&b"honest"[..]));
            drop(honest);
            sleep(AGES).await;
            let growth = if strangers == FIRST { u64::MAX / 2 } else { GROWTH };
            before.is_back(growth).await;
            assert_eq!(lab.gateway.flows().live, 0);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn datagrams_at_a_forwarded_port_leave_nothing_over_quic() {
    datagrams_at_a_forwarded_port_leave_nothing(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn datagrams_at_a_forwarded_port_leave_nothing_over_websocket() {
    datagrams_at_a_forwarded_port_leave_nothing(Transport::WebSocket).await;
}
