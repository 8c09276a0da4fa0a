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

#[path = "golden_client/raw.rs"]
mod raw;
#[allow(dead_code, reason = "shared with tests that write hexadecimal as well")]
#[path = "../../anyproxy-wire/tests/golden/table.rs"]
mod table;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    DialConfig, Dialer, Login, Method, OldestTls, StallBudget, Stream, Transport, Trust, Tunnel,
    net::System,
};
use anyproxy_wire::{
    codes::OpenCode,
    frame::{self, Frame, Stage},
    handshake::{Secret, Transcript, Verifier, client_proof, gateway_proof},
    message::{Open, OpenReply},
};
use bytes::BytesMut;
use raw::{Certificates, Raw, RawListener};

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

fn binding(transport: Transport) -> &'static str {
    match transport {
        Transport::Quic => ", bound",
        Transport::WebSocket => "",
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
        certificate: None,
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
        route: anyproxy_transport::Route::default(),
        congestion: anyproxy_transport::Congestion::default(),
    };
    let Frame::Hello(hello) = golden.frame("Hello") else { panic!() };
    let login = Login {
        group: hello.principal,
        client_id: hello.client_id,
        instance: hello.instance,
        replica: 0,
        intent: hello.intent,
        join_key: None,
        ping_within: None,
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
