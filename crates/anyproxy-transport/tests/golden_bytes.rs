//! The golden bytes of `docs/protocol.md`, captured below each transport.
//!
//! ```text
//! raw client (quinn, or tungstenite over TLS) ◀── loopback ──▶ TunnelListener ─▶ … ─▶ Tunnel
//!   sends golden bytes, keeps what it receives                 driven through the public API
//! ```
//!
//! Random bytes cannot be golden: nonces and proofs are checked, and stand in the golden rows where
//! those of the page did. The page is read, and its values are built, by files of `anyproxy-wire`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure is the test's result")]

mod golden_bytes {
    pub(crate) mod credit;
    #[path = "../../../anyproxy-wire/tests/golden/frames.rs"]
    pub(crate) mod frames;
    pub(crate) mod peer;
    pub(crate) mod quic;
    pub(crate) mod session;
    #[path = "../../../anyproxy-wire/tests/golden/table.rs"]
    pub(crate) mod table;
    pub(crate) mod websocket;
}

use std::{collections::BTreeMap, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_transport::{ClosedBy, Opening, Transport, TunnelError};
use anyproxy_wire::{
    codes::CloseCode,
    frame::Frame,
    handshake::{self, ProofCheck, Secret},
    message::{Open, Welcome},
};
use golden_bytes::{
    frames::frames,
    session::{GOLDEN_BUDGET, Session, greet},
    table::{hex, rows, to_hex},
};

const BOTH: [Transport; 2] = [Transport::WebSocket, Transport::Quic];

/// The bytes of a row of section 13.
fn row(heading: &str, name: &str) -> Vec<u8> {
    let rows = rows(heading);
    let row = rows.iter().find(|cells| cells[0] == name);
    hex(row.unwrap_or_else(|| panic!("no row {name:?}")).last().unwrap())
}

/// The bytes of a frame's row.
fn bytes(name: &str) -> Vec<u8> {
    row("### Frames", name)
}

/// The values of a frame's row.
fn value(name: &str) -> Frame {
    frames().into_iter().collect::<BTreeMap<_, _>>().remove(name).unwrap()
}

/// Compares in hexadecimal, which a failure shows.
#[track_caller]
fn same(received: &[u8], golden: &[u8]) {
    assert_eq!(to_hex(received), to_hex(golden));
}

/// `golden` with the bytes `old` in it replaced; they must stand there once.
fn with(golden: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let found = golden.windows(old.len()).enumerate().filter(|(_, part)| *part == old);
    let [at] = found.map(|(at, _)| at).collect::<Vec<_>>()[..] else { panic!("not there once") };
    [&golden[..at], new, &golden[at + old.len()..]].concat()
}

/// What a user's connection must be for the gateway to send this Open, apart from the id.
fn opening(name: &str) -> Opening {
    let Frame::Open(open) = value(name) else { panic!("{name} is no Open") };
    let Open { stream: _, ingress, target, source, destination, user, protocol } = open;
    Opening { ingress, target, source, destination, user, protocol }
}

fn welcome(name: &str) -> Welcome {
    let Frame::Welcome(welcome) = value(name) else { panic!("{name} is no Welcome") };
    welcome
}

/// A tunnel after a handshake with the golden Hello and Welcome.
async fn session(carrier: Transport) -> Session {
    Session::start(carrier, welcome("Welcome"), GOLDEN_BUDGET).await
}

/// Bytes that never come fail the test instead of holding it up.
async fn bounded(test: impl Future<Output = ()>) {
    Deadline::after(Duration::from_secs(20)).bound(test).await.unwrap();
}

/// The rows of the handshake over this transport: Challenge, Auth, Welcome, and the proofs' case.
fn handshake_rows(carrier: Transport) -> [&'static str; 4] {
    match carrier {
        Transport::WebSocket => ["Challenge", "Auth", "Welcome", "plain"],
        Transport::Quic => ["Challenge, bound", "Auth, bound", "Welcome, all fields", "bound"],
    }
}

#[tokio::test]
async fn the_handshake_is_as_written() {
    bounded(async {
        let secret = Secret::new(row("## 13. Golden bytes", "shared secret"));
        for carrier in BOTH {
            let [challenge, auth, welcome_row, case] = handshake_rows(carrier);
            let session = Session::start(carrier, welcome(welcome_row), GOLDEN_BUDGET).await;
            assert_eq!(Frame::Hello(session.hello), value("Hello"));
            let nonce = row("## 13. Golden bytes", "gateway's nonce");
            same(&session.challenge, &with(&bytes(challenge), &nonce, &session.nonce));
            let proof = row("### The handshake", &format!("proof, {case}"));
            same(&session.auth, &with(&bytes(auth), &proof, &session.proof));
            let proof = row("### The handshake", &format!("Welcome.proof, {case}"));
            let golden = bytes(welcome_row);
            let at = golden.windows(32).position(|part| part == proof).unwrap();
            let proof_sent = &session.welcome[at..at + 32];
            same(&session.welcome, &with(&golden, &proof, proof_sent));
            let check = handshake::check_gateway_proof(&secret, &session.transcript, proof_sent);
            assert_eq!(check, ProofCheck::Right);
        }
    })
    .await;
}

#[tokio::test]
async fn every_golden_hello_and_auth_is_understood() {
    let rows =
        [("Hello, join", "Auth, join"), ("Hello, supersede", "Auth"), ("Hello", "Auth, bound")];
    bounded(async {
        for carrier in BOTH {
            for (hello, auth) in rows {
                let (greeting, mut peer, _listener) = greet(carrier, &bytes(hello)).await;
                assert_eq!(Frame::Hello(greeting.hello().clone()), value(hello));
                let answered = async {
                    peer.next().await;
                    peer.send(&bytes(auth)).await;
                };
                let (challenged, ()) = tokio::join!(greeting.challenge(&[1]), answered);
                assert_eq!(Frame::Auth(challenged.unwrap().auth().clone()), value(auth));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_as_written_and_closes_with_its_code() {
    let Frame::Refuse(refuse) = value("Refuse") else { panic!() };
    bounded(async {
        for carrier in BOTH {
            let (greeting, mut peer, _listener) = greet(carrier, &bytes("Hello")).await;
            let refused = greeting.refuse(refuse.code, &refuse.reason, refuse.retry_after);
            let told = async {
                let frame = peer.next().await;
                (frame, peer.closed().await)
            };
            let ((), (frame, closed)) = tokio::join!(refused, told);
            same(&frame, &bytes("Refuse"));
            assert_eq!(closed, (refuse.code.as_u64(), refuse.reason.clone()));
        }
    })
    .await;
}

#[tokio::test]
async fn control_messages_are_sent_as_written() {
    // A Goaway is last: no stream is opened behind it.
    let names = ["ForwardReply", "ForwardReply, held", "Goaway"];
    bounded(async {
        for carrier in BOTH {
            let mut session = session(carrier).await;
            for name in names {
                session.tunnel.send_control(value(name)).await.unwrap();
            }
            for name in names {
                same(&session.peer.next().await, &bytes(name));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn golden_control_messages_are_understood() {
    let names = ["ForwardRequest", "ForwardRequest, UDP", "ForwardRelease", "Goaway"];
    let unusual = rows("### What a receiver accepts").into_iter();
    let unusual = unusual.filter(|cells| cells[1].starts_with("Forward"));
    let mut cases = names.map(|name| (bytes(name), value(name))).to_vec();
    cases.extend(unusual.map(|cells| (hex(&cells[2]), value(&cells[1]))));
    assert_eq!(cases.len(), 7);
    bounded(async {
        for carrier in BOTH {
            let mut session = session(carrier).await;
            for (bytes, value) in &cases {
                session.peer.send(bytes).await;
                assert_eq!(session.tunnel.recv_control().await.as_ref(), Ok(value));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn illegal_frames_close_the_tunnel_with_the_code_written() {
    let rows = rows("### What a receiver refuses");
    assert!(rows.len() >= 18);
    bounded(async {
        for carrier in BOTH {
            for cells in &rows {
                let mut session = session(carrier).await;
                session.peer.send(&hex(&cells[2])).await;
                let code = cells[1].parse().unwrap();
                assert_eq!(session.peer.closed().await.0, code, "{carrier} {cells:?}");
                let over = session.tunnel.closed().await;
                let TunnelError::Closed { by, code: ours, .. } = over else { panic!("{over}") };
                assert_eq!((by, ours), (ClosedBy::Us, CloseCode::from_u64(code)));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_golden_ping_is_answered_with_the_golden_pong() {
    bounded(async {
        for carrier in BOTH {
            let mut session = session(carrier).await;
            // A Pong that nobody asked for changes nothing.
            session.peer.send(&bytes("Pong")).await;
            session.peer.send(&bytes("Ping")).await;
            same(&session.peer.next().await, &bytes("Pong"));
        }
    })
    .await;
}

/// TCP's own is the kernel's matter.
#[tokio::test]
async fn a_golden_strain_is_counted_over_quic() {
    bounded(async {
        for carrier in BOTH {
            let mut session = session(carrier).await;
            let told = [bytes("Strain"), bytes("Strain"), bytes("Ping")].concat();
            session.peer.send(&told).await;
            same(&session.peer.next().await, &bytes("Pong"));
            let expected = match carrier {
                Transport::Quic => 2,
                Transport::WebSocket => 0,
            };
            assert_eq!(session.tunnel.stats().strains, expected, "{carrier:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_silent_peer_is_sent_a_ping() {
    let Frame::Ping(token) = value("Ping") else { panic!() };
    bounded(async {
        for carrier in BOTH {
            let ping_interval = Duration::from_millis(1);
            let welcome = Welcome { ping_interval, ..welcome("Welcome") };
            let mut session = Session::start(carrier, welcome, GOLDEN_BUDGET).await;
            let ping = session.peer.next_ping().await;
            same(&ping, &with(&bytes("Ping"), &token, &ping[2..]));
        }
    })
    .await;
}
