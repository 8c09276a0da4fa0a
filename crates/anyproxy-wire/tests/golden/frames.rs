//! The frames whose bytes section 13 of `docs/protocol.md` gives, by the names it gives them.

use std::time::Duration;

use anyproxy_wire::codes::{CloseCode, ForwardCode, OpenCode, StreamCode};
use anyproxy_wire::frame::{Frame, Stage};
use anyproxy_wire::handshake::{KeyProof, TokenProof};
use anyproxy_wire::message::*;
use bytes::Bytes;

use super::table::{hex, rows};

/// The stage at which a receiver meets the frame.
pub(crate) fn stage(frame: &Frame) -> Stage {
    match frame.name() {
        "Hello" | "Challenge" | "Auth" | "Welcome" | "Refuse" => Stage::Handshake,
        _ => Stage::Established,
    }
}

/// All of them.
pub(crate) fn frames() -> Vec<(&'static str, Frame)> {
    let mut frames = openings();
    frames.extend(welcomes());
    frames.extend(enrolled());
    frames.extend(control());
    frames.extend(forwards());
    frames.extend(opens());
    frames.extend(mux());
    frames
}

fn hello() -> Hello {
    Hello {
        versions: vec![1],
        features: 0,
        methods: vec![1],
        nonce: [0xc1; 32],
        principal: "home".into(),
        client_id: "laptop".into(),
        instance: [0x1d; 16],
        replica: 0,
        intent: Intent::New,
        initial_credit: DEFAULT_CREDIT,
        software: "example/1".into(),
    }
}

fn openings() -> Vec<(&'static str, Frame)> {
    let join =
        Hello { intent: Intent::Join { session: [0x5e; 16] }, software: String::new(), ..hello() };
    let beside = Hello {
        intent: Intent::Beside { session: [0x5e; 16], main: 2 },
        software: String::new(),
        ..hello()
    };
    let supersede = Hello {
        versions: vec![1, 2],
        features: 5,
        methods: vec![1, 2],
        replica: 3,
        intent: Intent::Supersede { generation: 41 },
        initial_credit: 1_048_576,
        software: String::new(),
        ..hello()
    };
    let challenge =
        Challenge { version: 1, features: 0, method: 1, nonce: [0x9a; 32], binding: Binding::None };
    let bound = Challenge { binding: Binding::Exporter, ..challenge.clone() };
    vec![
        ("Hello", Frame::Hello(hello())),
        ("Hello, join", Frame::Hello(join)),
        ("Hello, beside", Frame::Hello(beside)),
        ("Hello, supersede", Frame::Hello(supersede)),
        ("Challenge", Frame::Challenge(challenge)),
        ("Challenge, bound", Frame::Challenge(bound)),
    ]
}

/// A value of the table in "The handshake"; `tests/golden.rs` computes it again.
fn handshake_value(name: &str) -> [u8; 32] {
    let rows = rows("### The handshake");
    let row = rows.iter().find(|cells| cells[0] == name).unwrap();
    hex(&row[1]).try_into().unwrap()
}

/// The proof after "Hello, join", by an independent program.
const JOINING_PROOF: &str = "9210a170b9a329559a132ffbe9f3cc5e6ff1b33f80e9272280810c54e3b7ad3f";

fn welcomes() -> Vec<(&'static str, Frame)> {
    let auth =
        |proof: &[u8], join_proof| Frame::Auth(Auth { proof: SecretBytes::new(proof), join_proof });
    let welcome = Welcome {
        session: [0x5e; 16],
        tunnel: 0,
        proof: Some(handshake_value("Welcome.proof, plain")),
        generation: 42,
        initial_credit: DEFAULT_CREDIT,
        max_streams: Welcome::DEFAULT_MAX_STREAMS,
        ping_interval: Welcome::DEFAULT_PING_INTERVAL,
        dead_after: Welcome::DEFAULT_DEAD_AFTER,
        join_key: [0x70; 32],
        software: String::new(),
    };
    let full = Welcome {
        tunnel: 1,
        proof: Some(handshake_value("Welcome.proof, bound")),
        initial_credit: 524_288,
        max_streams: 1_000,
        ping_interval: Duration::from_secs(5),
        dead_after: Duration::from_secs(15),
        software: "example/1".into(),
        ..welcome.clone()
    };
    vec![
        ("Auth", auth(&handshake_value("proof, plain"), None)),
        ("Auth, bound", auth(&handshake_value("proof, bound"), None)),
        ("Auth, join", auth(&hex(JOINING_PROOF), Some(handshake_value("join proof")))),
        ("Welcome", Frame::Welcome(welcome)),
        ("Welcome, all fields", Frame::Welcome(full)),
    ]
}

/// A value of the table in "Keys and tokens", or of the constants.
pub(crate) fn value<const N: usize>(heading: &str, name: &str) -> [u8; N] {
    let rows = rows(heading);
    let row = rows.iter().find(|cells| cells[0] == name).unwrap();
    hex(&row[1]).try_into().unwrap()
}

fn enrolled() -> Vec<(&'static str, Frame)> {
    let hello = |method| Frame::Hello(Hello { methods: vec![method], ..hello() });
    let challenge = |method| {
        let (nonce, binding) = ([0x9a; 32], Binding::Exporter);
        Frame::Challenge(Challenge { version: 1, features: 0, method, nonce, binding })
    };
    let auth =
        |proof: Vec<u8>| Frame::Auth(Auth { proof: SecretBytes::new(proof), join_proof: None });
    let key: [u8; 32] = value("## 13. Golden bytes", "its public key");
    let values = "### Keys and tokens";
    let proof = KeyProof { key, signature: value(values, "signature, key") };
    let token = TokenProof {
        token: [0x70; 8],
        key,
        signature: value(values, "signature, token"),
        proof: value(values, "proof, token"),
    };
    let welcome = Welcome {
        session: [0; 16],
        tunnel: 0,
        proof: Some(value(values, "Welcome.proof, token")),
        generation: 0,
        initial_credit: DEFAULT_CREDIT,
        max_streams: Welcome::DEFAULT_MAX_STREAMS,
        ping_interval: Welcome::DEFAULT_PING_INTERVAL,
        dead_after: Welcome::DEFAULT_DEAD_AFTER,
        join_key: [0; 32],
        software: String::new(),
    };
    vec![
        ("Hello, key", hello(3)),
        ("Challenge, key", challenge(3)),
        ("Auth, key", auth(proof.to_bytes())),
        ("Hello, token", hello(4)),
        ("Challenge, token", challenge(4)),
        ("Auth, token", auth(token.to_bytes())),
        ("Welcome, token", Frame::Welcome(welcome)),
        ("Hello, certificate", hello(5)),
        ("Challenge, certificate", challenge(5)),
        ("Auth, certificate", auth(value::<32>(values, "proof, certificate").to_vec())),
    ]
}

fn control() -> Vec<(&'static str, Frame)> {
    let refuse = Refuse {
        code: CloseCode::Unauthorised,
        reason: "no".into(),
        retry_after: Duration::from_secs(2),
    };
    let goaway = Goaway {
        code: CloseCode::Shutdown,
        reconnect_after: Duration::from_secs(3),
        drain: Duration::from_secs(10),
        reason: "restart".into(),
    };
    vec![
        ("Refuse", Frame::Refuse(refuse)),
        ("Ping", Frame::Ping([1, 2, 3, 4, 5, 6, 7, 8])),
        ("Pong", Frame::Pong([1, 2, 3, 4, 5, 6, 7, 8])),
        ("Credit", Frame::Credit(vec![(1, 524_288), (3, 300_000)])),
        ("Goaway", Frame::Goaway(goaway)),
        ("Strain", Frame::Strain),
    ]
}

fn forwards() -> Vec<(&'static str, Frame)> {
    let tcp = ForwardRequest {
        id: 7,
        protocol: Protocol::Tcp,
        listen: "0.0.0.0:2222".into(),
        name: "ssh".into(),
    };
    let udp = ForwardRequest {
        id: 8,
        protocol: Protocol::Udp,
        listen: "[::]:0".into(),
        name: String::new(),
    };
    let bound = ForwardReply {
        id: 7,
        code: ForwardCode::Bound,
        bound: Some("0.0.0.0:2222".parse().unwrap()),
        detail: String::new(),
    };
    let held = ForwardReply {
        id: 8,
        code: ForwardCode::HeldByOther,
        bound: None,
        detail: "port 53 is taken".into(),
    };
    vec![
        ("ForwardRequest", Frame::ForwardRequest(tcp)),
        ("ForwardRequest, UDP", Frame::ForwardRequest(udp)),
        ("ForwardReply", Frame::ForwardReply(bound)),
        ("ForwardReply, held", Frame::ForwardReply(held)),
        ("ForwardRelease", Frame::ForwardRelease(ForwardRelease { id: 7 })),
    ]
}

fn opens() -> Vec<(&'static str, Frame)> {
    let open = Open {
        stream: 1,
        ingress: Ingress::HttpConnect,
        target: Target::Name("intranet.example:443".into()),
        source: Some("203.0.113.9:50000".parse().unwrap()),
        destination: Some("198.51.100.1:8080".parse().unwrap()),
        user: "ann".into(),
        protocol: Protocol::Tcp,
    };
    let flow = Open {
        stream: 3,
        ingress: Ingress::Forward,
        target: Target::Forward(8),
        source: Some("[2001:db8::9]:5353".parse().unwrap()),
        destination: None,
        user: String::new(),
        protocol: Protocol::Udp,
    };
    let connected = OpenReply {
        stream: 1,
        code: OpenCode::Connected,
        detail: String::new(),
        address: Some("10.0.0.7:443".parse().unwrap()),
    };
    let refused = OpenReply {
        stream: 3,
        code: OpenCode::Refused,
        detail: "connection refused".into(),
        address: None,
    };
    vec![
        ("Open", Frame::Open(open)),
        ("Open, flow", Frame::Open(flow)),
        ("OpenReply", Frame::OpenReply(connected)),
        ("OpenReply, refused", Frame::OpenReply(refused)),
    ]
}

fn mux() -> Vec<(&'static str, Frame)> {
    let hello = Bytes::from_static(b"hello");
    vec![
        ("Data", Frame::Data { stream: 1, bytes: hello.clone() }),
        ("Data, empty", Frame::Data { stream: 70_001, bytes: Bytes::new() }),
        ("Fin", Frame::Fin { stream: 1, offset: 5 }),
        ("FinAck", Frame::FinAck { stream: 1 }),
        ("Reset", Frame::Reset { stream: 1, code: StreamCode::TargetReset }),
        ("Stop", Frame::Stop { stream: 3, code: StreamCode::UserGone }),
        ("Datagram", Frame::Datagram { stream: 3, bytes: hello }),
        ("Datagram, empty", Frame::Datagram { stream: 3, bytes: Bytes::new() }),
    ]
}
