//! What is sent in front of what, and within which budget.

use std::time::{Duration, Instant};

use anyproxy_wire::codes::{OpenCode, StreamCode};
use anyproxy_wire::frame::Frame;
use anyproxy_wire::message::ForwardRelease;
use anyproxy_wire::mux::{Event, Mux, MuxConfig, Queued, Side};
use bytes::{Bytes, BytesMut};

use super::*;

fn release(id: u64) -> Frame {
    Frame::ForwardRelease(ForwardRelease { id })
}

/// A gateway with something of every kind to send.
fn busy() -> Mux {
    let mut mux = gateway();
    mux.open(flow(3)).unwrap();
    sent(&mut mux);
    mux.receive(Frame::OpenReply(reply(3, OpenCode::Connected))).unwrap();
    mux.write(1, b"bulk");
    assert_eq!(mux.datagram(3, b"packet"), Queued::Queued);
    mux.open(open(5)).unwrap();
    mux.stop(3, StreamCode::Cancelled);
    assert_eq!(mux.control(release(9)), Queued::Queued);
    mux.receive(Frame::Data { stream: 1, bytes: Bytes::from(vec![0; 600]) }).unwrap();
    mux.read(1, Instant::now(), Duration::ZERO);
    mux.ping([1; 8]);
    mux.receive(Frame::Ping([2; 8])).unwrap();
    mux
}

fn expected() -> Vec<Frame> {
    vec![
        Frame::Pong([2; 8]),
        Frame::Ping([1; 8]),
        Frame::Credit(vec![(1, 1600)]),
        release(9),
        Frame::Stop { stream: 3, code: StreamCode::Cancelled },
        Frame::Open(open(5)),
        Frame::Datagram { stream: 3, bytes: Bytes::from_static(b"packet") },
        data(1, b"bulk"),
    ]
}

#[test]
fn control_goes_before_heads_and_heads_before_bytes() {
    assert_eq!(sent(&mut busy()), expected());
}

#[test]
fn a_budget_cuts_between_frames_and_loses_none() {
    for budget in 1..80 {
        let mut mux = busy();
        let mut frames = Vec::new();
        while mux.wants_transmit() {
            let mut out = BytesMut::new();
            assert_eq!(mux.transmit(&mut out, 0), 0);
            frames.extend(sent_within(&mut mux, budget));
        }
        let datagram = frames.iter().position(|f| matches!(f, Frame::Datagram { .. }));
        let bulk = frames.iter().position(|f| matches!(f, Frame::Data { .. }));
        if datagram > bulk {
            // Half of what was left was for the stream.
            frames.swap(6, 7);
        }
        assert_eq!(frames, expected(), "{budget}");
    }
}

#[test]
fn transmit_appends() {
    let mut mux = gateway();
    mux.ping([1; 8]);
    let mut out = BytesMut::from(&b"before"[..]);
    assert_eq!(mux.transmit(&mut out, 100), 10);
    assert_eq!(&out[..6], b"before");
    assert_eq!(out.len(), 16);
}

#[test]
fn data_is_cut_into_frames_and_wraps_without_a_gap() {
    let mut mux = gateway();
    let all: Vec<u8> = (0..900_u32).map(|n| n as u8).collect();
    let mut received = Vec::new();
    let mut rest = &all[..];
    while !rest.is_empty() || mux.wants_transmit() {
        let count = rest.len().min(70);
        assert_eq!(mux.write(1, &rest[..count]), anyproxy_wire::mux::Written::Some(count));
        rest = &rest[count..];
        for frame in sent_within(&mut mux, 50) {
            let Frame::Data { bytes, .. } = frame else { panic!("{frame:?}") };
            assert!(bytes.len() <= DATA_FRAME);
            received.extend_from_slice(&bytes);
        }
    }
    assert_eq!(received, all);
}

#[test]
fn the_newest_ping_replaces_one_that_waits() {
    let mut mux = gateway();
    mux.ping([1; 8]);
    mux.ping([2; 8]);
    assert_eq!(sent(&mut mux), [Frame::Ping([2; 8])]);
    mux.receive(Frame::Pong([2; 8])).unwrap();
    assert_eq!(events(&mut mux), [Event::Control(Frame::Pong([2; 8]))]);
}

#[test]
fn control_messages_are_bounded_and_of_the_right_kind() {
    let mut mux = gateway();
    assert!((0..64).all(|id| mux.control(release(id)) == Queued::Queued));
    assert_eq!(mux.control(release(64)), Queued::Dropped);
    assert_eq!(sent(&mut mux).len(), 64);
    assert_eq!(mux.control(release(65)), Queued::Queued);
    assert_eq!(mux.control(data(1, b"no control message")), Queued::Dropped);
}

#[test]
fn datagrams_are_bounded_per_flow_and_in_all() {
    let mut mux = Mux::new(MuxConfig { max_streams: 100, ..config(Side::Gateway) });
    for n in 0..6 {
        mux.open(flow(2 * n + 1)).unwrap();
        let queued = (0..100).filter(|_| mux.datagram(2 * n + 1, b"x") == Queued::Queued).count();
        assert_eq!(queued, if n < 4 { 64 } else { 2 }, "flow {n}");
    }
    assert_eq!(mux.dropped_datagrams(), 600 - 256 - 4);

    let mut mux = Mux::new(config(Side::Gateway));
    mux.open(flow(1)).unwrap();
    assert_eq!(mux.datagram(1, &[0; 65_508]), Queued::Dropped, "too large");
    let queued = (0..64).filter(|_| mux.datagram(1, &[0; 65_507]) == Queued::Queued).count();
    assert_eq!(queued, 16, "a mebibyte");
    sent(&mut mux);
    assert_eq!(mux.datagram(1, b""), Queued::Queued, "empty is legal");
}

#[test]
fn datagrams_belong_to_open_flows() {
    let mut mux = gateway();
    assert_eq!(mux.datagram(1, b"no flow"), Queued::Dropped);
    assert_eq!(mux.datagram(99, b"no stream"), Queued::Dropped);
    mux.open(flow(3)).unwrap();
    assert_eq!(mux.datagram(3, b"last"), Queued::Queued);
    mux.finish(3);
    assert_eq!(mux.datagram(3, b"behind Fin"), Queued::Dropped);
    let datagram = Frame::Datagram { stream: 3, bytes: Bytes::from_static(b"last") };
    let fin = Frame::Fin { stream: 3, offset: 0 };
    assert_eq!(sent(&mut mux), [Frame::Open(flow(3)), datagram.clone(), fin]);

    mux.receive(datagram.clone()).unwrap();
    assert_eq!(events(&mut mux), [Event::Datagram(3, Bytes::from_static(b"last"))]);
    let dropped = mux.dropped_datagrams();
    for stream in [1, 99] {
        mux.receive(Frame::Datagram { stream, bytes: Bytes::new() }).unwrap();
    }
    mux.stop(3, StreamCode::Cancelled);
    mux.receive(datagram).unwrap();
    assert_eq!(events(&mut mux), []);
    assert_eq!(mux.dropped_datagrams(), dropped + 3);
}

#[test]
fn the_fin_of_a_flow_waits_for_its_datagrams() {
    let mut mux = gateway();
    mux.open(flow(3)).unwrap();
    sent(&mut mux);
    mux.write(1, &[0; SEND_BUFFER]);
    for _ in 0..20 {
        assert_eq!(mux.datagram(3, &[7; 50]), Queued::Queued);
    }
    mux.finish(3);
    mux.release(3);
    let mut frames = Vec::new();
    while mux.wants_transmit() {
        frames.extend(sent_within(&mut mux, 200));
    }
    let fin = frames.iter().position(|f| matches!(f, Frame::Fin { .. }));
    let last = frames.iter().rposition(|f| matches!(f, Frame::Datagram { .. }));
    assert!(fin > last, "{fin:?} {last:?}");
    let datagrams = frames.iter().filter(|f| matches!(f, Frame::Datagram { .. })).count();
    assert_eq!(datagrams, 20);
}
