//! Plain quinn over the virtual UDP.

use std::{sync::Arc, time::Duration};

use anyproxy_tests::net::{LinkSettings, Switch};
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use tokio::time::Instant;

use super::{Pair, addr, elapsed_ms, ip, ms};

const MIB: usize = 1024 * 1024;

struct Quic {
    pair: Pair,
    /// Kept, for a dropped endpoint closes.
    client: Endpoint,
    connection: quinn::Connection,
}

fn transport() -> Arc<quinn::TransportConfig> {
    let mut transport = quinn::TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_secs(5)));
    Arc::new(transport)
}

/// An endpoint on `b` that sends back whatever comes.
fn echo(pair: &Pair) -> rustls::RootCertStore {
    let made = rcgen::generate_simple_self_signed(["b".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let cert = made.cert.der().clone();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.clone()).unwrap();
    let mut config = quinn::ServerConfig::with_single_cert(vec![cert], key.into()).unwrap();
    config.transport_config(transport());
    let socket = pair.b.net().udp(addr("0.0.0.0:443")).unwrap();
    let runtime = Arc::new(TokioRuntime);
    let endpoint = EndpointConfig::default();
    let server =
        Endpoint::new_with_abstract_socket(endpoint, Some(config), socket, runtime).unwrap();
    tokio::spawn(async move {
        let connection = server.accept().await.unwrap().await.unwrap();
        while let Ok((mut send, mut recv)) = connection.accept_bi().await {
            tokio::io::copy(&mut recv, &mut send).await.unwrap();
            send.finish().unwrap();
        }
    });
    roots
}

impl Quic {
    async fn new(settings: LinkSettings) -> Self {
        let pair = Pair::new(settings);
        let roots = echo(&pair);
        let socket = pair.a.net().udp(addr("0.0.0.0:0")).unwrap();
        let (endpoint, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        let client = Endpoint::new_with_abstract_socket(endpoint, None, socket, runtime).unwrap();
        let mut config = quinn::ClientConfig::with_root_certificates(Arc::new(roots)).unwrap();
        config.transport_config(transport());
        let connecting = client.connect_with(config, addr("10.0.0.2:443"), "b").unwrap();
        let connection = connecting.await.unwrap();
        Self { pair, client, connection }
    }

    async fn round_trip(&self, size: usize) {
        let sent: Vec<u8> = (0..size).map(|n| (n / 251) as u8).collect();
        let (mut send, mut recv) = self.connection.open_bi().await.unwrap();
        let write = async {
            send.write_all(&sent).await.unwrap();
            send.finish().unwrap();
        };
        let (got, ()) = tokio::join!(recv.read_to_end(size), write);
        assert!(got.unwrap() == sent);
    }
}

fn lossy() -> LinkSettings {
    LinkSettings { loss: 0.02, ..LinkSettings::with_delay(ms(50)) }
}

#[tokio::test(start_paused = true)]
async fn the_handshake_takes_one_round_trip() {
    let start = Instant::now();
    let quic = Quic::new(LinkSettings::with_delay(ms(50))).await;
    assert_eq!(elapsed_ms(start), 100);
    assert_eq!(quic.connection.rtt(), ms(100));
}

#[tokio::test(start_paused = true)]
async fn a_mebibyte_crosses_a_lossy_link_and_comes_back() {
    let (real, start) = (std::time::Instant::now(), Instant::now());
    let quic = Quic::new(lossy()).await;
    quic.round_trip(MIB).await;
    let lost = quic.pair.link.stats().lost;
    assert!(lost > 5, "{lost} datagrams were lost");
    assert!(start.elapsed() > ms(500), "{:?} virtual, {:?} real", start.elapsed(), real.elapsed());
    quic.client.close(0_u32.into(), b"");
}

#[tokio::test(start_paused = true)]
async fn a_connection_survives_a_change_of_address() {
    let quic = Quic::new(lossy()).await;
    quic.round_trip(MIB / 4).await;
    let id = quic.connection.stable_id();
    let moved = quic.pair.world.link(ip("10.0.0.7"), ip("10.0.0.2"));
    moved.set(lossy());
    quic.pair.a.set_ip(ip("10.0.0.7"));
    let before = quic.pair.link.forward().stats().datagrams;
    quic.round_trip(MIB).await;
    assert_eq!(quic.connection.stable_id(), id);
    assert_eq!(quic.pair.link.forward().stats().datagrams, before);
    assert!(moved.stats().datagram_bytes > 2 * MIB as u64);
}

#[tokio::test(start_paused = true)]
async fn an_hour_passes_in_no_time_and_silence_ends_the_connection() {
    let quic = Quic::new(LinkSettings::with_delay(ms(50))).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    quic.round_trip(1_000).await;
    quic.pair.link.black_hole_udp(Switch::On);
    let start = Instant::now();
    assert_eq!(quic.connection.closed().await, quinn::ConnectionError::TimedOut);
    // The idle time-out of 30 s begins with the keep-alive, sent within 5 s, that nobody answers
    // (RFC 9000 §10.1).
    assert!((30_000..=35_200).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}
