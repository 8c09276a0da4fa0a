//! The golden bytes of `docs/protocol.md`, section 13, below each transport: what our tunnels send
//! is compared with the document by an end that knows neither our codec nor our tunnels.
//!
//! ```text
//! Tunnel (ours) ── QUIC or WebSocket over TLS, loopback ──▶ quinn / tungstenite: bytes == document
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a failure is the test's result, and tasks end with its runtime"
)]

#[path = "golden/raw.rs"]
mod raw;
#[path = "../../anyproxy-wire/tests/golden/table.rs"]
mod table;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    Challenged, Datagram, DialConfig, Dialer, Identity, ListenConfig, Login, Method, Offer,
    OldestTls, Opening, Side, StallBudget, Stream, StreamIds, Transport, Trust, Tunnel,
    TunnelLimits, TunnelListener, net::System,
};
use anyproxy_wire::{
    codes::{CloseCode, OpenCode, StreamCode},
    frame::{self, Frame, Stage},
    handshake::{
        METHOD_SECRET, ProofCheck, Secret, Transcript, Verifier, check_client_proof, client_proof,
        gateway_proof,
    },
    message::{Open, OpenReply},
};
use bytes::BytesMut;
use raw::{Certificates, Raw, RawListener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const BOTH: [Transport; 2] = [Transport::Quic, Transport::WebSocket];
const ENOUGH: u64 = 256 * 1024 * 1024;

/// Rows of the document by name.
struct Golden(BTreeMap<String, Vec<u8>>);

impl Golden {
    fn read() -> Self {
        let mut rows = BTreeMap::new();
        for heading in ["### Frames", "### Datagrams outside of frames", "## 13. Golden bytes"] {
            for cells in table::rows(heading) {
                let bytes = table::hex(cells.last().unwrap());
                assert!(rows.insert(cells[0].clone(), bytes).is_none());
            }
        }
        Self(rows)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.0.get(name).unwrap_or_else(|| panic!("no row {name:?}")).clone()
    }

    fn secret(&self) -> Secret {
        Secret::new(self.bytes("shared secret"))
    }

    /// What the row means; that it does is a test of the codec's own.
    fn frame(&self, name: &str) -> Frame {
        let mut bytes = BytesMut::from(&self.bytes(name)[..]);
        frame::decode(&mut bytes, Stage::Established).unwrap().unwrap()
    }

    fn open(&self, name: &str) -> Open {
        let Frame::Open(open) = self.frame(name) else { panic!("{name} is no Open") };
        open
    }

    fn reply(&self, name: &str) -> OpenReply {
        let Frame::OpenReply(reply) = self.frame(name) else { panic!("{name} is no OpenReply") };
        reply
    }

    /// The row with `from` replaced by `to`: for what is random in real life.
    fn with(&self, name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes(name);
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes[at..at + from.len()].copy_from_slice(to);
        bytes
    }
}

fn opening(open: &Open) -> Opening {
    Opening {
        ingress: open.ingress,
        target: open.target.clone(),
        source: open.source,
        destination: open.destination,
        user: open.user.clone(),
        protocol: open.protocol,
    }
}

fn listener(certificates: &Certificates) -> (TunnelListener, SocketAddr) {
    let (chain, key) = (certificates.chain.as_bytes(), certificates.key.as_bytes());
    let config = ListenConfig {
        addr: "127.0.0.1:0".parse().unwrap(),
        offer: Offer::Both,
        identity: Identity::from_pem(chain, key).unwrap(),
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
        dead_after: Duration::from_secs(30),
    };
    let listener = TunnelListener::bind(&System::default(), &config).unwrap();
    let addr = listener.local_addr();
    (listener, addr)
}

fn binding(transport: Transport) -> &'static str {
    match transport {
        Transport::Quic => ", bound",
        Transport::WebSocket => "",
    }
}

/// A raw client that has said Hello and answered the Challenge, and our side of it.
async fn knock(transport: Transport, golden: &Golden) -> (Raw, Challenged, TunnelListener) {
    let certificates = Certificates::new();
    let (listener, addr) = listener(&certificates);
    let ours = async {
        let deadline = Deadline::after(Duration::from_secs(30));
        let greeting = listener.accept().await.unwrap().greet(deadline).await.unwrap();
        let Frame::Hello(expected) = golden.frame("Hello") else { panic!() };
        assert_eq!(*greeting.hello(), expected);
        greeting.challenge(&[METHOD_SECRET]).await.unwrap()
    };
    let theirs = async {
        let mut raw = match transport {
            Transport::Quic => Raw::quic(&certificates, addr).await,
            Transport::WebSocket => Raw::websocket(&certificates, addr).await,
        };
        let hello = golden.bytes("Hello");
        raw.say(&hello).await;
        let challenge = raw.frame().await;
        let row = format!("Challenge{}", binding(transport));
        // type, length, two numbers; then the nonce's own tag and length
        let nonce = &challenge[10..42];
        assert_eq!(challenge, golden.with(&row, &golden.bytes("gateway's nonce"), nonce));
        let transcript = Transcript::new(&hello, &challenge, raw.exporter().as_ref());
        let proof = client_proof(&golden.secret(), &transcript);
        let row = golden.bytes("Auth");
        raw.say(&[&row[..4], &proof[..]].concat()).await;
        raw
    };
    let (challenged, raw) = tokio::join!(ours, theirs);
    let verifier = Verifier::from_secret(&golden.secret());
    let proof = challenged.auth().proof.expose();
    let check = check_client_proof(&verifier, challenged.transcript(), proof);
    assert_eq!(check, ProofCheck::Right);
    (raw, challenged, listener)
}

/// A gateway's tunnel of ours with a raw client at its other end.
struct Pair {
    golden: Golden,
    raw: Raw,
    tunnel: Tunnel,
    _kept: (TunnelListener, Scope),
}

impl Pair {
    async fn connect(transport: Transport) -> Self {
        Self::with(transport, "Welcome", None, ENOUGH).await
    }

    /// `credit`, if any, instead of the row's initial credit, and a stall budget of `budget` bytes.
    async fn with(transport: Transport, row: &str, credit: Option<u64>, budget: u64) -> Self {
        let golden = Golden::read();
        let (mut raw, challenged, listener) = knock(transport, &golden).await;
        let Frame::Welcome(mut welcome) = golden.frame(row) else { panic!() };
        let row_proof = welcome.proof.unwrap();
        let verifier = Verifier::from_secret(&golden.secret());
        let proof = gateway_proof(&verifier, challenged.transcript());
        welcome.proof = Some(proof);
        welcome.initial_credit = credit.unwrap_or(welcome.initial_credit);
        let limits = TunnelLimits {
            max_streams: 100,
            budget: StallBudget::new(budget),
            ids: StreamIds::new(Side::Gateway),
        };
        let scope = Scope::root("golden");
        let tunnel = challenged.welcome(welcome, limits, &scope).await.unwrap();
        let welcome = raw.frame().await;
        if credit.is_none() {
            assert_eq!(welcome, golden.with(row, &row_proof, &proof));
        }
        Self { golden, raw, tunnel, _kept: (listener, scope) }
    }

    /// The next frame must be this row.
    async fn expect(&mut self, row: &str) {
        assert_eq!(
            table::to_hex(&self.raw.frame().await),
            table::to_hex(&self.golden.bytes(row)),
            "{row}"
        );
    }

    /// Opens a stream for a row, which must arrive at the head of the stream.
    async fn open(
        &mut self,
        row: &str,
    ) -> (Stream, Option<(quinn::SendStream, quinn::RecvStream)>) {
        let stream = self.tunnel.open(&opening(&self.golden.open(row))).await.unwrap();
        let Some(conn) = self.raw.connection().cloned() else {
            self.expect(row).await;
            return (stream, None);
        };
        let (send, mut recv) = conn.accept_bi().await.unwrap();
        let expected = self.golden.bytes(row);
        let mut head = vec![0; expected.len()];
        recv.read_exact(&mut head).await.unwrap();
        assert_eq!(head, expected, "{row}");
        (stream, Some((send, recv)))
    }
}

#[tokio::test]
async fn the_gateway_welcomes_and_sends_control_frames_as_the_document_says() {
    for transport in BOTH {
        let mut pair = Pair::with(transport, "Welcome, all fields", None, ENOUGH).await;
        for row in ["ForwardReply", "ForwardReply, held", "Goaway"] {
            pair.tunnel.send_control(pair.golden.frame(row)).await.unwrap();
            pair.expect(row).await;
        }
        let ping = pair.golden.bytes("Ping");
        pair.raw.say(&ping).await;
        pair.expect("Pong").await;
        for row in ["ForwardRequest", "ForwardRequest, UDP", "ForwardRelease"] {
            let said = pair.golden.bytes(row);
            pair.raw.say(&said).await;
            assert_eq!(pair.tunnel.recv_control().await.unwrap(), pair.golden.frame(row));
        }
        pair.tunnel.close(CloseCode::Superseded, "");
        assert_eq!(pair.raw.close_code().await, 8, "{transport}");
    }
}

#[tokio::test]
async fn a_refusal_goes_out_as_the_document_says() {
    for transport in BOTH {
        let golden = Golden::read();
        let (mut raw, challenged, _kept) = knock(transport, &golden).await;
        let Frame::Refuse(refuse) = golden.frame("Refuse") else { panic!() };
        let ours = challenged.refuse(refuse.code, &refuse.reason, refuse.retry_after);
        let theirs = async {
            assert_eq!(raw.frame().await, golden.bytes("Refuse"), "{transport}");
            assert_eq!(raw.close_code().await, 5, "{transport}");
        };
        tokio::join!(ours, theirs);
    }
}

/// On the WebSocket every step is a frame.
#[tokio::test]
async fn a_stream_over_the_websocket_is_what_the_document_says() {
    let mut pair = Pair::connect(Transport::WebSocket).await;
    let (mut stream, _) = pair.open("Open").await;
    let (mut flow, _) = pair.open("Open, flow").await;
    for (payload, row) in [(&b"hello"[..], "Datagram"), (b"", "Datagram, empty")] {
        assert_eq!(pair.tunnel.send_datagram(3, payload), Datagram::Queued);
        pair.expect(row).await;
    }
    for row in ["OpenReply", "OpenReply, refused"] {
        let said = pair.golden.bytes(row);
        pair.raw.say(&said).await;
    }
    assert_eq!(stream.reply().await.unwrap(), pair.golden.reply("OpenReply"));
    assert_eq!(flow.reply().await.unwrap(), pair.golden.reply("OpenReply, refused"));
    // The opener resets what was refused, with code 8.
    assert_eq!(pair.raw.frame().await, [0x23, 2, 3, 8]);
    stream.write_all(b"hello").await.unwrap();
    pair.expect("Data").await;
    stream.shutdown().await.unwrap();
    pair.expect("Fin").await;
    for row in ["FinAck", "Data", "Fin"] {
        let said = pair.golden.bytes(row);
        pair.raw.say(&said).await;
    }
    stream.acked().await.unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "hello");
    pair.expect("FinAck").await;
}

#[tokio::test]
async fn a_stop_and_a_reset_over_the_websocket_are_what_the_document_says() {
    let mut pair = Pair::connect(Transport::WebSocket).await;
    let (mut stream, _) = pair.open("Open").await;
    let (mut flow, _) = pair.open("Open, flow").await;
    flow.stop(StreamCode::UserGone);
    pair.expect("Stop").await;
    // A reset is one of both directions.
    stream.reset(StreamCode::TargetReset);
    let mut said = [pair.raw.frame().await, pair.raw.frame().await];
    said.sort();
    assert_eq!(said, [pair.golden.bytes("Reset"), vec![0x24, 2, 1, 2]]);
}

/// On QUIC the same steps are the transport's own.
#[tokio::test]
async fn a_stream_over_quic_is_what_the_document_says() {
    let mut pair = Pair::connect(Transport::Quic).await;
    let (mut stream, raw) = pair.open("Open").await;
    let (mut send, mut recv) = raw.unwrap();
    let (mut flow, raw_flow) = pair.open("Open, flow").await;
    let (mut flow_send, mut flow_recv) = raw_flow.unwrap();
    send.write_all(&pair.golden.bytes("OpenReply")).await.unwrap();
    assert_eq!(stream.reply().await.unwrap(), pair.golden.reply("OpenReply"));
    flow_send.write_all(&pair.golden.bytes("OpenReply, refused")).await.unwrap();
    assert_eq!(flow.reply().await.unwrap(), pair.golden.reply("OpenReply, refused"));
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(recv.read_to_end(100).await.unwrap(), b"hello", "raw bytes, then FIN");
    send.write_all(b"hello").await.unwrap();
    send.finish().unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).await.unwrap();
    assert_eq!(got, "hello");
    let conn = pair.raw.connection().unwrap();
    for (payload, row) in [(&b"hello"[..], "QUIC DATAGRAM"), (b"", "QUIC DATAGRAM, empty")] {
        assert_eq!(pair.tunnel.send_datagram(3, payload), Datagram::Queued);
        assert_eq!(conn.read_datagram().await.unwrap(), pair.golden.bytes(row), "{row}");
    }
    flow.stop(StreamCode::UserGone);
    assert_eq!(flow_send.stopped().await.unwrap().unwrap().into_inner(), 3);
    flow.reset(StreamCode::TargetReset);
    let error = flow_recv.read_to_end(100).await.unwrap_err();
    let quinn::ReadToEndError::Read(quinn::ReadError::Reset(code)) = error else {
        panic!("{error}")
    };
    assert_eq!(code.into_inner(), 2);
}

/// Credit of the row's first pair: 524,288 is what is granted after half of a window of 349,525.
#[tokio::test]
async fn credit_goes_out_as_the_document_says() {
    const WINDOW: u64 = 349_525;
    const HALF: usize = 174_763;
    for transport in BOTH {
        // A budget that leaves no room for the window to grow.
        let mut pair = Pair::with(transport, "Welcome", Some(WINDOW), 400_000).await;
        let (mut stream, raw) = pair.open("Open").await;
        let reply = pair.golden.bytes("OpenReply");
        let bytes = vec![7; HALF];
        let theirs = async {
            match raw {
                Some((mut send, recv)) => {
                    send.write_all(&[&reply[..], &bytes].concat()).await.unwrap();
                    (Some((send, recv)), pair.raw.frame().await)
                }
                None => {
                    pair.raw.say(&reply).await;
                    for bytes in bytes.chunks(16_000) {
                        let head = (0x4000 | (bytes.len() as u16 + 1)).to_be_bytes();
                        pair.raw.say(&[&[0x20], &head[..], &[1], bytes].concat()).await;
                    }
                    (None, pair.raw.frame().await)
                }
            }
        };
        let ours = async {
            stream.reply().await.unwrap();
            let mut got = vec![0; HALF];
            stream.read_exact(&mut got).await.unwrap();
        };
        let ((_kept, credit), ()) = tokio::join!(theirs, ours);
        let row = pair.golden.bytes("Credit");
        assert_eq!(credit[..], [&[0x0a, 5], &row[2..7]].concat(), "{transport}");
    }
}

/// Our client against a raw gateway.
async fn our_client(transport: Transport, golden: &Golden) -> (Raw, Tunnel, Scope) {
    let certificates = Certificates::new();
    let (listener, addr) = match transport {
        Transport::Quic => RawListener::quic(&certificates),
        Transport::WebSocket => RawListener::websocket(&certificates).await,
    };
    let config = DialConfig {
        host: addr.ip().to_string(),
        port: addr.port(),
        server_name: Some("gateway.test".into()),
        trust: Trust::from_ca_pem(certificates.ca.as_bytes()).unwrap(),
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
    };
    let Frame::Hello(hello) = golden.frame("Hello") else { panic!() };
    let login = Login {
        group: hello.principal,
        client_id: hello.client_id,
        instance: hello.instance,
        replica: 0,
        secret: golden.secret(),
        method: Method::Secret,
        initial_credit: hello.initial_credit,
        budget: StallBudget::new(ENOUGH),
    };
    let scope = Scope::root("golden");
    let ours = async {
        let deadline = Deadline::after(Duration::from_secs(30));
        let dialer = Dialer::new(Arc::new(System::default()), config).unwrap();
        let connected = dialer.dial(transport, deadline).await.unwrap();
        connected.log_in(&login, deadline, &scope).await.unwrap().0
    };
    let (raw, tunnel) = tokio::join!(raw_welcome(listener, transport, golden), ours);
    (raw, tunnel, scope)
}

/// The raw gateway's handshake.
async fn raw_welcome(listener: RawListener, transport: Transport, golden: &Golden) -> Raw {
    let mut raw = listener.accept().await;
    let hello = raw.frame().await;
    // Alike but for the nonce and, at the end, the software's name, and so the length.
    let (nonce, software) = (11..43, golden.bytes("Hello").len() - 11);
    let row = golden.with("Hello", &golden.bytes("client's nonce"), &hello[nonce]);
    assert_eq!(hello[3..software], row[3..software], "{transport}");
    assert_eq!((hello[0], hello[software]), (1, 13));
    let challenge = golden.bytes(&format!("Challenge{}", binding(transport)));
    raw.say(&challenge).await;
    let transcript = Transcript::new(&hello, &challenge, raw.exporter().as_ref());
    let proof = client_proof(&golden.secret(), &transcript);
    assert_eq!(raw.frame().await, [&golden.bytes("Auth")[..4], &proof].concat(), "{transport}");
    let Frame::Welcome(welcome) = golden.frame("Welcome") else { panic!() };
    let proof = gateway_proof(&Verifier::from_secret(&golden.secret()), &transcript);
    raw.say(&golden.with("Welcome", &welcome.proof.unwrap(), &proof)).await;
    raw
}

#[tokio::test]
async fn the_client_says_what_the_document_says() {
    for transport in BOTH {
        let golden = Golden::read();
        let (mut raw, tunnel, _scope) = our_client(transport, &golden).await;
        for row in ["ForwardRequest", "ForwardRequest, UDP", "ForwardRelease"] {
            tunnel.send_control(golden.frame(row)).await.unwrap();
            assert_eq!(raw.frame().await, golden.bytes(row), "{transport}: {row}");
        }
        for (open, reply) in [("Open", "OpenReply"), ("Open, flow", "OpenReply, refused")] {
            let answer = golden.reply(reply);
            let (head, answered) = opened(&mut raw, &tunnel, (open, &answer), &golden).await;
            assert_eq!(head, golden.bytes(reply), "{transport}: {reply}");
            drop(answered);
        }
    }
}

/// The raw gateway opens a stream by a row; gives what our client answers.
async fn opened(
    raw: &mut Raw,
    tunnel: &Tunnel,
    (open, answer): (&str, &OpenReply),
    golden: &Golden,
) -> (Vec<u8>, Stream) {
    let bytes = golden.bytes(open);
    let quic = match raw.connection().cloned() {
        Some(conn) => {
            let (mut send, recv) = conn.open_bi().await.unwrap();
            send.write_all(&bytes).await.unwrap();
            Some((send, recv))
        }
        None => {
            raw.say(&bytes).await;
            None
        }
    };
    let deadline = Deadline::after(Duration::from_secs(30));
    let (asked, mut stream) = tunnel.accept().await.unwrap().head(deadline).await.unwrap();
    assert_eq!(asked, golden.open(open));
    stream.answer(answer.code, &answer.detail, answer.address).await.unwrap();
    let Some((_send, mut recv)) = quic else { return (next_of(raw, 0x11).await, stream) };
    if answer.code != OpenCode::Connected {
        return (recv.read_to_end(1000).await.unwrap(), stream);
    }
    let mut head = vec![0; golden.bytes("OpenReply").len()];
    recv.read_exact(&mut head).await.unwrap();
    (head, stream)
}

/// The next frame of this type; ends of the stream before may come first.
async fn next_of(raw: &mut Raw, kind: u8) -> Vec<u8> {
    loop {
        let frame = raw.frame().await;
        if frame[0] == kind {
            return frame;
        }
    }
}
