//! Users who have not asked for anything hold up no shutdown, whichever door they came in by.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure is the test's result"
)]

use std::{net::SocketAddr, time::Duration};

use anyproxy_gateway::{Ended, Gateway, HttpsConfig};
use anyproxy_tests::lab::{Certificates, Options, Site, gateway_config};
use anyproxy_transport::{
    Identity, Transport,
    net::{Conn, Role},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, sleep},
};

const SECOND: Duration = Duration::from_secs(1);

/// A gateway with a door of every kind.
fn gateway(site: &Site) -> Gateway {
    let certificates = Certificates::new(&["gateway.test"]);
    let mut config = gateway_config(site, &Options::new(Transport::Quic), &certificates);
    let any = SocketAddr::new(site.gateway_ip, 0);
    let (chain, key) = (certificates.chain.as_bytes(), certificates.key.as_bytes());
    let identity = Identity::from_pem(chain, key).unwrap();
    config.https = Some(HttpsConfig { addrs: vec![any], identity });
    config.mixed = vec![any];
    Gateway::start(&config, site.gateway.clone(), 10 * SECOND).unwrap()
}

/// Somebody who says `word` and no more, and is answered `answered` bytes.
async fn stranger(site: &Site, door: SocketAddr, (word, answered): (&[u8], usize)) -> Conn {
    let mut conn = site.user.connect(door, Role::Proxied).await.unwrap();
    conn.write_all(word).await.unwrap();
    conn.read_exact(&mut vec![0; answered]).await.unwrap();
    conn
}

/// `silent` come in by one door each and stay; the drain ends at once, and they are let go.
async fn let_go(door: impl Fn(&Gateway) -> SocketAddr, words: &[(&[u8], usize)]) {
    for word in words {
        let site = Site::simulated().0;
        let gateway = gateway(&site);
        let mut stranger = stranger(&site, door(&gateway), *word).await;
        sleep(SECOND).await;
        let (began, scope) = (Instant::now(), gateway.scope());
        let left = async {
            assert_eq!(stranger.read(&mut [0]).await.unwrap(), 0, "{word:?}");
            drop(stranger);
        };
        let (ended, ()) = tokio::join!(gateway.shutdown(60 * SECOND), left);
        assert_eq!(ended, Ended::Drained, "{word:?}");
        // A TLS handshake under way has a second.
        assert!(began.elapsed() < 2 * SECOND, "{word:?}: {:?}", began.elapsed());
        assert_eq!(scope.tasks(), 0);
    }
}

/// The beginning of a request, up to which no target is named.
const SOCKS5: [(&[u8], usize); 4] =
    [(b"", 0), (b"\x05", 0), (b"\x05\x01\x02", 2), (b"\x05\x01\x02\x01\x04demo", 2)];

#[tokio::test(start_paused = true)]
async fn silent_users_of_socks5_do_not_hold_the_drain() {
    let_go(|gateway| gateway.addresses().socks5[0], &SOCKS5).await;
}

#[tokio::test(start_paused = true)]
async fn silent_users_of_a_mixed_port_do_not_hold_the_drain() {
    let_go(|gateway| gateway.addresses().mixed[0], &SOCKS5).await;
}

#[tokio::test(start_paused = true)]
async fn silent_users_of_https_do_not_hold_the_drain() {
    // Nothing, and the head of a TLS record whose body never comes.
    let words: [(&[u8], usize); 2] = [(b"", 0), (b"\x16\x03\x01\x02\x00", 0)];
    let_go(|gateway| gateway.addresses().https[0], &words).await;
}
