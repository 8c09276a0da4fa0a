//! Every frame that a sender may make, as proptest strategies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyproxy_wire::codes::{CloseCode, ForwardCode, OpenCode, StreamCode};
use anyproxy_wire::frame::Frame;
use anyproxy_wire::message::*;
use anyproxy_wire::varint;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Any frame.
pub(crate) fn frame() -> BoxedStrategy<Frame> {
    prop_oneof![handshake_frame(), control_frame(), mux_frame()].boxed()
}

/// A frame that may occur before Welcome.
pub(crate) fn handshake_frame() -> BoxedStrategy<Frame> {
    prop_oneof![
        hello().prop_map(Frame::Hello),
        challenge().prop_map(Frame::Challenge),
        auth().prop_map(Frame::Auth),
        welcome().prop_map(Frame::Welcome),
        (select(CloseCode::ALL), text(64), millis(0)).prop_map(|(code, reason, retry_after)| {
            Frame::Refuse(Refuse { code, reason, retry_after })
        }),
    ]
    .boxed()
}

fn control_frame() -> BoxedStrategy<Frame> {
    prop_oneof![
        any::<[u8; 8]>().prop_map(Frame::Ping),
        any::<[u8; 8]>().prop_map(Frame::Pong),
        Just(Frame::Strain),
        vec((number(), number()), 0..=256).prop_map(Frame::Credit),
        goaway().prop_map(Frame::Goaway),
        forward_request().prop_map(Frame::ForwardRequest),
        forward_reply().prop_map(Frame::ForwardReply),
        number().prop_map(|id| Frame::ForwardRelease(ForwardRelease { id })),
        open().prop_map(Frame::Open),
        open_reply().prop_map(Frame::OpenReply),
    ]
    .boxed()
}

fn mux_frame() -> BoxedStrategy<Frame> {
    let code = || select(StreamCode::ALL);
    let bytes = || vec(any::<u8>(), 0..300).prop_map(Bytes::from);
    prop_oneof![
        (number(), bytes()).prop_map(|(stream, bytes)| Frame::Data { stream, bytes }),
        (number(), number()).prop_map(|(stream, offset)| Frame::Fin { stream, offset }),
        number().prop_map(|stream| Frame::FinAck { stream }),
        (number(), code()).prop_map(|(stream, code)| Frame::Reset { stream, code }),
        (number(), code()).prop_map(|(stream, code)| Frame::Stop { stream, code }),
        (number(), bytes()).prop_map(|(stream, bytes)| Frame::Datagram { stream, bytes }),
    ]
    .boxed()
}

prop_compose! {
    fn hello()(
        (versions, methods) in (vec(number(), 0..=8), vec(number(), 0..=8)),
        (features, replica, initial_credit) in (number(), number(), number()),
        nonce in any::<[u8; 32]>(),
        instance in any::<[u8; 16]>(),
        (principal, client_id, software) in (name(16), name(32), text(16)),
        intent in intent(),
    ) -> Hello {
        Hello {
            versions, features, methods, nonce, principal, client_id, instance, replica, intent,
            initial_credit, software,
        }
    }
}

fn intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        Just(Intent::New),
        any::<[u8; 16]>().prop_map(|session| Intent::Join { session }),
        (any::<[u8; 16]>(), number()).prop_map(|(session, main)| Intent::Beside { session, main }),
        number().prop_map(|generation| Intent::Supersede { generation }),
    ]
}

prop_compose! {
    fn challenge()(
        (version, features, method) in (number(), number(), number()),
        nonce in any::<[u8; 32]>(),
        binding in select(&[Binding::None, Binding::Exporter][..]),
    ) -> Challenge {
        Challenge { version, features, method, nonce, binding }
    }
}

prop_compose! {
    fn auth()(
        proof in vec(any::<u8>(), 0..=Auth::MAX_PROOF),
        join_proof in option::of(any::<[u8; 32]>()),
    ) -> Auth {
        Auth { proof: SecretBytes::new(proof), join_proof }
    }
}

prop_compose! {
    fn welcome()(
        session in any::<[u8; 16]>(),
        (tunnel, generation) in (number(), number()),
        (initial_credit, max_streams) in (number(), number()),
        proof in option::of(any::<[u8; 32]>()),
        join_key in any::<[u8; 32]>(),
        (ping_interval, dead_after) in (millis(1), millis(1)),
        software in text(16),
    ) -> Welcome {
        Welcome {
            session, tunnel, proof, generation, initial_credit, max_streams, ping_interval,
            dead_after, join_key, software,
        }
    }
}

prop_compose! {
    fn goaway()(
        code in select(CloseCode::ALL),
        (reconnect_after, drain) in (millis(0), millis(0)),
        reason in text(64),
    ) -> Goaway {
        Goaway { code, reconnect_after, drain, reason }
    }
}

prop_compose! {
    fn forward_request()(
        id in number(), protocol in protocol(), listen in name(63), name in text(16),
    ) -> ForwardRequest {
        ForwardRequest { id, protocol, listen, name }
    }
}

prop_compose! {
    fn forward_reply()(
        id in number(),
        code in select(ForwardCode::ALL),
        bound in option::of(address()),
        detail in text(64),
    ) -> ForwardReply {
        ForwardReply { id, code, bound, detail }
    }
}

prop_compose! {
    fn open()(
        stream in number(),
        ingress in select(&[Ingress::HttpRequest, Ingress::HttpConnect, Ingress::Socks5, Ingress::Forward][..]),
        target in prop_oneof![name(128).prop_map(Target::Name), number().prop_map(Target::Forward)],
        (source, destination) in (option::of(address()), option::of(address())),
        user in text(32),
        protocol in protocol(),
    ) -> Open {
        Open { stream, ingress, target, source, destination, user, protocol }
    }
}

prop_compose! {
    fn open_reply()(
        stream in number(),
        code in select(OpenCode::ALL),
        detail in text(64),
        address in option::of(address()),
    ) -> OpenReply {
        OpenReply { stream, code, detail, address }
    }
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(&[Protocol::Tcp, Protocol::Udp][..])
}

/// Of every size, with the edges and the defaults more often than by chance.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    let edges = [0, 1, 63, 64, 4_096, 16_383, 16_384, 262_144, (1 << 30) - 1, 1 << 30, varint::MAX];
    prop_oneof![select(edges.to_vec()), 0..1_000_000_u64, 0..=varint::MAX]
}

fn millis(least: u64) -> impl Strategy<Value = Duration> {
    number().prop_map(move |millis| Duration::from_millis(millis.max(least)))
}

/// At most `most` characters; four times as many bytes.
fn text(most: usize) -> impl Strategy<Value = String> {
    vec(any::<char>().prop_filter("not a control character", |c| !c.is_control()), 0..=most)
        .prop_map(String::from_iter)
}

fn name(most: usize) -> impl Strategy<Value = String> {
    text(most).prop_map(|text| if text.is_empty() { "x".into() } else { text })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from(bits))),
        any::<u32>().prop_map(|bits| IpAddr::V6(Ipv4Addr::from(bits).to_ipv6_mapped())),
    ];
    (ip, any::<u16>()).prop_map(SocketAddr::from)
}
