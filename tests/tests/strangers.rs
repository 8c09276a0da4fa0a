//! What strangers may do to a gateway before they have authenticated: nothing.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a failure is the test's result"
)]

#[path = "strangers/raw.rs"]
mod raw;

use std::{io, net::SocketAddr, time::Duration};

use anyproxy_client::{Client, ClientConfig, State};
use anyproxy_gateway::Gateway;
use anyproxy_tests::{
    lab::{self, Certificates, GROUP, Lab, Options, Site},
    net::Datagrams,
    target,
    user::WAYS,
};
use anyproxy_transport::{
    Transport, Trust,
    net::{Conn, Role},
};
use anyproxy_wire::{
    frame::Frame,
    handshake::Secret,
    message::{Hello, Intent},
};
use bytes::{BufMut as _, BytesMut};
use raw::Raw;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::{Instant, sleep},
};

const BOTH: [Transport; 2] = [Transport::Quic, Transport::WebSocket];
/// How long a handshake may take (`handshake_timeout`).
const HANDSHAKE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// A gateway without clients.
struct Door {
    site: Site,
    certificates: Certificates,
    gateway: Gateway,
    /// Its tasks while nobody is there.
    calm: usize,
}

impl Door {
    async fn open() -> Self {
        let site = Site::simulated().0;
        let certificates = Certificates::new(&["gateway.test"]);
        let mut options = Options::new(Transport::Quic);
        // All strangers here have one address; `crowds` has what that is counted for.
        options.limits.max_handshakes_per_address = options.limits.max_handshakes;
        let gateway = lab::start_gateway(&site, &options, &certificates);
        sleep(SECOND).await;
        let calm = gateway.tasks();
        Self { site, certificates, gateway, calm }
    }

    fn addr(&self) -> SocketAddr {
        self.gateway.addresses().tunnels
    }

    async fn tcp(&self) -> Conn {
        self.site.client.connect(self.addr(), Role::Proxied).await.unwrap()
    }

    /// Strangers who connect, all at once, and say nothing.
    async fn silent(&self, strangers: usize) -> Vec<Conn> {
        let mut connecting = JoinSet::new();
        for _ in 0..strangers {
            let (net, addr) = (self.site.client.clone(), self.addr());
            connecting.spawn(async move { net.connect(addr, Role::Proxied).await.unwrap() });
        }
        connecting.join_all().await
    }

    async fn raw(&self, transport: Transport) -> Raw {
        Raw::connect(transport, &self.site, &self.certificates, self.addr()).await
    }

    /// A real client gets its session, and users get through, whatever goes on.
    async fn serves(self, transport: Transport) {
        let Self { site, certificates, gateway, .. } = self;
        let target = target::echo(&site);
        let options = Options::new(transport).forwards(&[target]);
        let addr = gateway.addresses().tunnels;
        let client = lab::start_client(&site, &options, &certificates, addr);
        let ports = lab::connected(&client).await;
        let lab = Lab { gateway, client, site, ports };
        for way in WAYS {
            let mut conn = lab.connect(way, target).await;
            conn.write_all(b"hello").await.unwrap();
            let mut got = [0; 5];
            conn.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"hello");
        }
    }
}

fn hello() -> Hello {
    Hello {
        versions: vec![1],
        features: 0,
        methods: vec![1],
        nonce: [0xc1; 32],
        principal: GROUP.into(),
        client_id: "stranger".into(),
        instance: [0x1d; 16],
        replica: 0,
        intent: Intent::New,
        initial_credit: 262_144,
        software: String::new(),
    }
}

fn bytes(frame: &Frame) -> BytesMut {
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes);
    bytes
}

#[tokio::test(start_paused = true)]
async fn plain_tcp_on_the_tls_port_is_closed() {
    let door = Door::open().await;
    for words in
        [&b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n"[..], b"SSH-2.0-scan\r\n", &[0; 64]]
    {
        let began = Instant::now();
        let mut stranger = door.tcp().await;
        stranger.write_all(words).await.unwrap();
        let mut answer = Vec::new();
        // An alert, at most.
        let _ = stranger.read_to_end(&mut answer).await;
        assert!(answer.len() <= 7, "{answer:?}");
        assert!(began.elapsed() < SECOND);
    }
    sleep(SECOND).await;
    assert_eq!(door.gateway.tasks(), door.calm);
    door.serves(Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn any_other_request_gets_a_plain_404() {
    let door = Door::open().await;
    for request in [
        "GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        "GET /anyproxy HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        "HEAD /metrics HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        "POST /anyproxy HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 2\r\n\r\nhi",
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
        "GET /other HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: anyproxy.v1\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /anyproxy HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    ] {
        let mut tls = raw::over_tls(&door.site, &door.certificates, door.addr()).await;
        tls.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tls.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{request}: {head}");
        assert!(!answer.to_ascii_lowercase().contains("anyproxy"), "it tells nothing: {answer}");
        let expected = if request.starts_with("HEAD") { "" } else { "not found\n" };
        assert_eq!(body, expected, "{request}");
    }
    sleep(SECOND).await;
    assert_eq!(door.gateway.tasks(), door.calm);
}

/// Conformance case 17: whatever a stranger stops in the middle of, it holds nothing after the deadline.
#[tokio::test(start_paused = true)]
async fn truncated_handshakes_end_with_their_deadline() {
    let door = Door::open().await;
    let client_hello = raw::client_hello(&door.certificates);
    let mut stuck = Vec::new();
    for cut in [1, 5, 6, 50, client_hello.len() - 1, client_hello.len()] {
        let mut stranger = door.tcp().await;
        stranger.write_all(&client_hello[..cut]).await.unwrap();
        stuck.push(stranger);
    }
    let mut tls = raw::over_tls(&door.site, &door.certificates, door.addr()).await;
    tls.write_all(b"GET /anyproxy HTTP/1.1\r\nHost: ").await.unwrap();
    let hello = bytes(&Frame::Hello(hello()));
    let mut raws = Vec::new();
    for transport in BOTH {
        // Said nothing; half a Hello; a Hello and then nothing.
        raws.push(door.raw(transport).await);
        let mut half = door.raw(transport).await;
        half.say_half(&hello).await;
        raws.push(half);
        let mut whole = door.raw(transport).await;
        whole.say(&hello).await;
        raws.push(whole);
    }
    sleep(HANDSHAKE - 5 * SECOND).await;
    assert!(door.gateway.tasks() > door.calm + 10, "they are in their handshakes");
    sleep(10 * SECOND).await;
    assert_eq!(door.gateway.tasks(), door.calm, "they are gone");
    for mut stranger in stuck {
        let mut rest = Vec::new();
        // Its end, at once; what came before may be the gateway's part of the TLS handshake.
        let _ = stranger.read_to_end(&mut rest).await;
    }
    for mut raw in raws {
        raw.close_code().await;
    }
    door.serves(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn garbage_datagrams_are_nothing() {
    let door = Door::open().await;
    let from = SocketAddr::new([198, 18, 0, 2].into(), 0);
    let stranger = Datagrams::bind(&*door.site.client, from).unwrap();
    let mut initial = vec![0xc3, 0, 0, 0, 1, 8];
    initial.extend([7; 8]);
    for size in [0, 1, 5, 20, 1200, 1472] {
        for first in [0x00, 0x16, 0x40, 0x7f, 0xc0, 0xff] {
            let mut garbage = target::pattern(size);
            if let Some(byte) = garbage.first_mut() {
                *byte = first;
            }
            stranger.send_to(&garbage, door.addr()).unwrap();
        }
        // Looks like an Initial of QUIC 1, as far as it goes.
        let mut cut = initial.clone();
        cut.resize(size.max(initial.len()), 0x55);
        stranger.send_to(&cut, door.addr()).unwrap();
    }
    sleep(2 * HANDSHAKE).await;
    assert_eq!(door.gateway.tasks(), door.calm);
    door.serves(Transport::Quic).await;
}

async fn thousand_silent_strangers_keep_nobody_out(transport: Transport) {
    let door = Door::open().await;
    let silent = door.silent(1000).await;
    sleep(SECOND).await;
    assert!(door.gateway.tasks() >= door.calm + 1000);
    let scope = door.gateway.scope();
    let began = Instant::now();
    door.serves(transport).await;
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    // The lab has gone; what its gateway left behind ends.
    anyproxy_runtime::Deadline::after(SECOND).bound(scope.finished()).await.unwrap();
    for mut stranger in silent {
        assert!(matches!(stranger.read(&mut [0]).await, Ok(0) | Err(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn thousand_silent_strangers_keep_nobody_out_over_quic() {
    thousand_silent_strangers_keep_nobody_out(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn thousand_silent_strangers_keep_nobody_out_over_websocket() {
    thousand_silent_strangers_keep_nobody_out(Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn thousand_silent_strangers_are_gone_after_the_deadline() {
    let door = Door::open().await;
    let silent = door.silent(1000).await;
    let mut raws = Vec::new();
    for _ in 0..10 {
        raws.push(door.raw(Transport::Quic).await);
    }
    sleep(HANDSHAKE - 5 * SECOND).await;
    assert_eq!(door.gateway.tasks(), door.calm + 1010);
    sleep(10 * SECOND).await;
    assert_eq!(door.gateway.tasks(), door.calm);
    for mut stranger in silent {
        assert!(matches!(stranger.read(&mut [0]).await, Ok(0) | Err(_)));
    }
    door.serves(Transport::WebSocket).await;
}

/// Frames that a stranger must not send, and what the gateway closes with.
#[tokio::test(start_paused = true)]
async fn wrong_first_words_are_answered_with_their_code() {
    let mut oversized = BytesMut::new();
    // A Hello of 4,097 bytes, by its head.
    oversized.put_slice(&[0x01, 0x50, 0x01]);
    let mut huge = BytesMut::new();
    huge.put_slice(&[0x01, 0xbf, 0xff, 0xff, 0xff]);
    let unknown_version = bytes(&Frame::Hello(Hello { versions: vec![99], ..hello() }));
    for (words, code) in [
        (oversized, 3),
        (huge, 3),
        (bytes(&Frame::Ping([0; 8])), 2),
        (bytes(&Frame::Credit(vec![(1, 1)])), 2),
        (BytesMut::from(&[0x06, 0x00][..]), 2),
        (BytesMut::from(&[0x01, 0x00][..]), 2),
        (unknown_version, 7),
        (bytes(&Frame::Hello(Hello { methods: vec![77], ..hello() })), 7),
    ] {
        for transport in BOTH {
            let door = Door::open().await;
            let mut stranger = door.raw(transport).await;
            stranger.say(&words).await;
            let began = Instant::now();
            assert_eq!(stranger.close_code().await, Some(code), "{transport}: {words:02x?}");
            assert!(began.elapsed() < SECOND, "{transport}: {:?}", began.elapsed());
            drop(stranger);
            sleep(5 * SECOND).await;
            assert_eq!(door.gateway.tasks(), door.calm, "{transport}: {words:02x?}");
        }
    }
}

/// Everything after Hello that is not Auth.
#[tokio::test(start_paused = true)]
async fn wrong_second_words_are_a_protocol_error() {
    for transport in BOTH {
        let door = Door::open().await;
        let mut stranger = door.raw(transport).await;
        stranger.say(&bytes(&Frame::Hello(hello()))).await;
        stranger.say(&bytes(&Frame::Hello(hello()))).await;
        assert_eq!(stranger.close_code().await, Some(2), "{transport}");
    }
}

/// A client whose configuration is wrong in one point.
async fn misconfigured(
    transport: Transport,
    change: impl FnOnce(&mut ClientConfig),
) -> (Client, Door) {
    let door = Door::open().await;
    let options = Options::new(transport);
    let mut config = lab::client_config(&door.site, &options, &door.certificates, door.addr());
    change(&mut config);
    let client = Client::start(config, door.site.client.clone(), SECOND).unwrap();
    (client, door)
}

/// What the client says of its next failure.
async fn complaint(client: &Client) -> String {
    let mut state = client.state();
    loop {
        if let State::Waiting(text) = &*state.borrow_and_update() {
            return text.clone();
        }
        state.changed().await.unwrap();
    }
}

async fn a_wrong_secret_is_refused_for_ever_at_a_slow_pace(transport: Transport) {
    let (client, door) =
        misconfigured(transport, |config| config.secret = Secret::new("not the secret")).await;
    let text = complaint(&client).await;
    assert!(text.contains("wrong group or secret"), "{text}");
    assert!(text.contains("check group and secret"), "{text}");
    let mut state = client.state();
    let (began, mut attempts) = (Instant::now(), 0_u32);
    while began.elapsed() < 3600 * SECOND {
        let waits = Instant::now();
        state.wait_for(|state| *state == State::Connecting).await.unwrap();
        // The group may have been added a moment ago.
        let least = if attempts == 0 { 2_900 } else { 29_900 };
        assert!(waits.elapsed() >= Duration::from_millis(least), "{:?}", waits.elapsed());
        state.wait_for(|state| matches!(state, State::Waiting(_))).await.unwrap();
        attempts += 1;
    }
    assert!(attempts >= 55, "it never gives up: {attempts}");
    sleep(HANDSHAKE).await;
    assert_eq!((door.gateway.sessions(), door.gateway.tasks()), (0, door.calm));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_refused_for_ever_at_a_slow_pace_over_quic() {
    a_wrong_secret_is_refused_for_ever_at_a_slow_pace(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_refused_for_ever_at_a_slow_pace_over_websocket() {
    a_wrong_secret_is_refused_for_ever_at_a_slow_pace(Transport::WebSocket).await;
}

/// Groups cannot be guessed: an unknown one is refused in the same words.
#[tokio::test(start_paused = true)]
async fn an_unknown_group_is_refused_like_a_wrong_secret() {
    for transport in BOTH {
        let wrong = |config: &mut ClientConfig| config.secret = Secret::new("not the secret");
        let unknown = |config: &mut ClientConfig| config.group = "nobody".into();
        let (wrong, _door) = misconfigured(transport, wrong).await;
        let (unknown, _other) = misconfigured(transport, unknown).await;
        assert_eq!(complaint(&wrong).await, complaint(&unknown).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_ca_is_named() {
    for transport in BOTH {
        let other = Certificates::new(&["gateway.test"]);
        let trust = Trust::from_ca_pem(other.ca.as_bytes()).unwrap();
        let (client, _door) = misconfigured(transport, |config| config.gateway.trust = trust).await;
        let text = complaint(&client).await;
        assert!(text.contains("certificate") && text.contains("CA"), "{transport}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_pin_is_named() {
    for transport in BOTH {
        let pin = format!("sha256:{}", "5a".repeat(32)).parse().unwrap();
        let (client, _door) =
            misconfigured(transport, |config| config.gateway.trust = Trust::Pin(pin)).await;
        let text = complaint(&client).await;
        assert!(text.contains("pin"), "{transport}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_name_is_named() {
    for transport in BOTH {
        let (client, _door) = misconfigured(transport, |config| {
            config.gateway.server_name = Some("other.test".into());
        })
        .await;
        let text = complaint(&client).await;
        assert!(text.contains("other.test"), "{transport}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_path_is_named() {
    let (client, _door) = misconfigured(Transport::WebSocket, |config| {
        config.gateway.path = "/elsewhere".into();
    })
    .await;
    let text = complaint(&client).await;
    assert!(text.contains("404") && text.contains("/elsewhere"), "{text}");
}

/// Conformance case 18: many strangers who leave at once in all states at once leave nothing behind.
#[tokio::test]
async fn strangers_who_leave_at_once_leave_nothing() -> io::Result<()> {
    let site = Site::loopback();
    let certificates = Certificates::new(&["gateway.test"]);
    let gateway = lab::start_gateway(&site, &Options::new(Transport::Quic), &certificates);
    let calm = gateway.tasks();
    let addr = gateway.addresses().tunnels;
    let client_hello = raw::client_hello(&certificates);
    for round in 0..100 {
        let mut stranger = site.client.connect(addr, Role::Proxied).await?;
        stranger.write_all(&client_hello[..round * client_hello.len() / 100]).await?;
        if round % 2 == 0 {
            stranger.abort();
        }
    }
    for transport in BOTH {
        let mut stranger = Raw::connect(transport, &site, &certificates, addr).await;
        stranger.say(&bytes(&Frame::Hello(hello()))).await;
    }
    anyproxy_tests::wait::until(&site, || gateway.tasks() <= calm).await;
    Ok(())
}
