//! A peer that sends anything, at any time: no panic, bounded memory, valid frames out.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail loudly, and look at few of many frames"
)]

use std::time::{Duration, Instant};

use anyproxy_wire::codes::{CloseCode, ForwardCode, OpenCode, StreamCode};
use anyproxy_wire::credit::GrowthPool;
use anyproxy_wire::frame::{Frame, Stage, decode_message};
use anyproxy_wire::message::{
    ForwardRelease, ForwardReply, Goaway, Ingress, Open, OpenReply, Protocol, Target,
};
use anyproxy_wire::mux::{Event, Mux, MuxConfig, Side};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

const MAX_STREAMS: usize = 5;
const CREDIT: u64 = 500;

fn mux(side: Side) -> Mux {
    Mux::new(MuxConfig {
        side,
        send_credit: 300,
        recv_credit: CREDIT,
        recv_ceiling: 2 * CREDIT,
        max_streams: MAX_STREAMS,
        send_buffer: 400,
        data_frame: 50,
        pool: GrowthPool::new(1000),
    })
}

fn open(stream: u64, protocol: Protocol) -> Open {
    Open {
        stream,
        ingress: Ingress::Forward,
        target: Target::Forward(stream),
        source: None,
        destination: None,
        user: String::new(),
        protocol,
    }
}

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..14_u64, 1 => any::<u64>()]
}

fn frame() -> impl Strategy<Value = Frame> {
    let code = || prop::sample::select(StreamCode::ALL);
    let bytes = || (0..120_usize).prop_map(|n| Bytes::from(vec![1; n]));
    let offset = prop_oneof![3 => 0..800_u64, 1 => any::<u64>()];
    let protocol = prop::sample::select(vec![Protocol::Tcp, Protocol::Udp]);
    let reply = (id(), prop::sample::select(OpenCode::ALL)).prop_map(|(stream, code)| {
        Frame::OpenReply(OpenReply { stream, code, detail: String::new(), address: None })
    });
    let goaway = Frame::Goaway(Goaway {
        code: CloseCode::Shutdown,
        reconnect_after: Duration::ZERO,
        drain: Duration::ZERO,
        reason: String::new(),
    });
    let forward = Frame::ForwardReply(ForwardReply {
        id: 1,
        code: ForwardCode::Bound,
        bound: None,
        detail: String::new(),
    });
    prop_oneof![
        8 => (id(), protocol).prop_map(|(id, protocol)| Frame::Open(open(id, protocol))),
        4 => reply,
        8 => (id(), bytes()).prop_map(|(stream, bytes)| Frame::Data { stream, bytes }),
        3 => (id(), offset.clone()).prop_map(|(stream, offset)| Frame::Fin { stream, offset }),
        3 => id().prop_map(|stream| Frame::FinAck { stream }),
        3 => (id(), code()).prop_map(|(stream, code)| Frame::Reset { stream, code }),
        3 => (id(), code()).prop_map(|(stream, code)| Frame::Stop { stream, code }),
        3 => (id(), bytes()).prop_map(|(stream, bytes)| Frame::Datagram { stream, bytes }),
        3 => prop::collection::vec((id(), offset), 0..5).prop_map(Frame::Credit),
        1 => any::<[u8; 8]>().prop_map(Frame::Ping),
        1 => any::<[u8; 8]>().prop_map(Frame::Pong),
        1 => Just(Frame::Strain),
        1 => Just(goaway),
        1 => Just(forward),
        1 => Just(Frame::ForwardRelease(ForwardRelease { id: 3 })),
    ]
}

#[allow(clippy::large_enum_variant, reason = "there are a few at a time")]
#[derive(Debug, Clone)]
enum Op {
    Receive(Frame),
    Use(u8, u64, usize),
    Transmit(usize),
    Poll,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => frame().prop_map(Op::Receive),
        6 => (0..10_u8, id(), 0..500_usize).prop_map(|(what, id, n)| Op::Use(what, id, n)),
        2 => (0..3000_usize).prop_map(Op::Transmit),
        2 => Just(Op::Poll),
    ];
    prop::collection::vec(op, 0..200)
}

fn act(mux: &mut Mux, what: u8, id: u64, n: usize) {
    let code = StreamCode::from_u64(n as u64 % 12);
    match what {
        0 => drop(mux.open(open(id, if n < 250 { Protocol::Tcp } else { Protocol::Udp }))),
        1 => {
            let code = OpenCode::from_u64(n as u64 % 3);
            let reply = OpenReply { stream: id, code, detail: String::new(), address: None };
            let _ = mux.reply(reply);
        }
        2 => drop(mux.write(id, &vec![2; n])),
        3 => mux.finish(id),
        4 => mux.reset(id, code),
        5 => mux.stop(id, code),
        6 => drop(mux.datagram(id, &vec![2; n])),
        7 => mux.release(id),
        _ => drop(mux.read(id, Instant::now(), Duration::from_millis(20))),
    }
}

fn transmit(mux: &mut Mux, budget: usize) {
    let mut out = BytesMut::new();
    let count = mux.transmit(&mut out, budget);
    assert!(count == out.len() && count < budget + 17_000);
    let mut message = out.freeze();
    while decode_message(&mut message, Stage::Established).unwrap().is_some() {}
}

fn check_bounds(mux: &Mux) {
    assert!(mux.stream_count() <= MAX_STREAMS);
    assert!((0..14).all(|id| mux.buffered(id) <= 2 * CREDIT));
}

fn run(side: Side, ops: Vec<Op>) {
    let mut mux = mux(side);
    for op in ops {
        match op {
            // Goes on after an error, which a transport does not.
            Op::Receive(frame) => drop(mux.receive(frame)),
            Op::Use(what, id, n) => act(&mut mux, what, id, n),
            Op::Transmit(budget) => transmit(&mut mux, budget),
            Op::Poll => while mux.poll_event().is_some() {},
        }
        check_bounds(&mux);
    }
    transmit(&mut mux, usize::MAX / 2);
    assert!(!mux.wants_transmit(), "all was sent, or waits for the peer");
}

proptest! {
    #[test]
    fn any_frames_at_a_client(ops in ops()) {
        run(Side::Client, ops);
    }

    #[test]
    fn any_frames_at_a_gateway(ops in ops()) {
        run(Side::Gateway, ops);
    }

    #[test]
    fn any_bytes_at_a_client(messages in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let mut mux = mux(Side::Client);
        for message in messages {
            let mut message = Bytes::from(message);
            while let Ok(Some(frame)) = decode_message(&mut message, Stage::Established) {
                drop(mux.receive(frame));
            }
            check_bounds(&mux);
        }
    }
}

/// Sends `flood` a hundred thousand times without a poll, a read or room to send.
fn flood(mux: &mut Mux, flood: impl Fn(u64) -> Frame) -> (Result<(), CloseCode>, usize) {
    let mut result = Ok(());
    for n in 0..100_000 {
        if let Err(error) = mux.receive(flood(n)) {
            result = Err(error.close_code());
            break;
        }
    }
    let mut events = 0;
    while mux.poll_event().is_some() {
        events += 1;
    }
    (result, events)
}

#[test]
fn a_ping_flood_leaves_one_pong_with_the_newest_token() {
    let mut mux = mux(Side::Client);
    assert_eq!(flood(&mut mux, |n| Frame::Ping(n.to_be_bytes())), (Ok(()), 0));
    let mut out = BytesMut::new();
    mux.transmit(&mut out, usize::MAX);
    let frame = decode_message(&mut out.freeze(), Stage::Established).unwrap();
    assert_eq!(frame, Some(Frame::Pong(99_999_u64.to_be_bytes())));
}

#[test]
fn a_pong_flood_is_dropped() {
    let (result, events) = flood(&mut mux(Side::Gateway), |n| Frame::Pong(n.to_be_bytes()));
    assert_eq!(result, Ok(()));
    assert!(events <= 64);
}

#[test]
fn a_control_flood_ends_the_tunnel() {
    let (result, events) =
        flood(&mut mux(Side::Gateway), |id| Frame::ForwardRelease(ForwardRelease { id }));
    assert_eq!(result, Err(CloseCode::TooLarge));
    assert!(events <= 1024);
}

#[test]
fn an_open_flood_is_refused_and_then_ends_the_tunnel() {
    let mut mux = mux(Side::Client);
    let (result, events) = flood(&mut mux, |n| Frame::Open(open(2 * n + 1, Protocol::Tcp)));
    assert_eq!(result, Err(CloseCode::TooLarge));
    assert_eq!(events, MAX_STREAMS);
    assert_eq!(mux.stream_count(), MAX_STREAMS);
}

#[test]
fn floods_on_one_stream_make_one_event_and_one_answer_each() {
    let empty = |stream| Frame::Data { stream, bytes: Bytes::new() };
    let cases: [(&dyn Fn(u64) -> Frame, usize); 5] = [
        (&|_| empty(1), 0),
        (&|_| Frame::Fin { stream: 1, offset: 0 }, 1),
        (&|_| Frame::Reset { stream: 1, code: StreamCode::Cancelled }, 1),
        (&|_| Frame::Stop { stream: 1, code: StreamCode::Cancelled }, 1),
        (&|n| Frame::Credit(vec![(1, n)]), 0),
    ];
    for (frame, count) in cases {
        let mut mux = mux(Side::Client);
        mux.receive(Frame::Open(open(1, Protocol::Tcp))).unwrap();
        assert!(matches!(mux.poll_event(), Some(Event::Opened(_))));
        assert_eq!(flood(&mut mux, frame), (Ok(()), count), "{:?}", frame(0));
        let mut out = BytesMut::new();
        assert!(mux.transmit(&mut out, usize::MAX) < 20, "{:?}", frame(0));
        assert_eq!(mux.buffered(1), 0);
    }
}

#[test]
fn a_datagram_flood_is_dropped_and_counted() {
    let mut mux = mux(Side::Client);
    mux.receive(Frame::Open(open(1, Protocol::Udp))).unwrap();
    let datagram = |_| Frame::Datagram { stream: 1, bytes: Bytes::from_static(b"flood") };
    let (result, events) = flood(&mut mux, datagram);
    assert_eq!(result, Ok(()));
    assert_eq!(events as u64 - 1 + mux.dropped_datagrams(), 100_000);
    assert!(events <= 65);
}
