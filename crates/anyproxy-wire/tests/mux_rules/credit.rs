//! Credit on the wire: both sides keep to it, and windows grow.

use std::time::{Duration, Instant};

use anyproxy_wire::WireError;
use anyproxy_wire::credit::GrowthPool;
use anyproxy_wire::frame::Frame;
use anyproxy_wire::mux::{Event, Mux, MuxConfig, Read, Side, Written};
use bytes::Bytes;

use super::*;

fn bytes(stream: u64, count: usize) -> Frame {
    Frame::Data { stream, bytes: Bytes::from(vec![0; count]) }
}

fn data_bytes(frames: &[Frame]) -> usize {
    frames
        .iter()
        .map(|frame| match frame {
            Frame::Data { bytes, .. } => bytes.len(),
            other => panic!("{other:?}"),
        })
        .sum()
}

#[test]
fn a_peer_that_passes_its_credit_is_told_off() {
    let mut mux = client();
    mux.receive(bytes(1, 999)).unwrap();
    mux.receive(bytes(1, 1)).unwrap();
    assert_eq!(mux.receive(bytes(1, 1)), Err(WireError::FlowControl { stream: 1 }));

    let mut mux = client();
    mux.stop(1, anyproxy_wire::codes::StreamCode::Cancelled);
    mux.receive(bytes(1, 1000)).unwrap();
    let error = mux.receive(bytes(1, 1));
    assert_eq!(error, Err(WireError::FlowControl { stream: 1 }), "also when it is discarded");
}

#[test]
fn a_sender_waits_for_credit_and_goes_on_with_it() {
    let mut mux = gateway();
    let mut total = 0;
    while let Written::Some(_) = mux.write(1, &[0; SEND_BUFFER]) {
        total += data_bytes(&sent(&mut mux));
    }
    assert_eq!(total as u64, CREDIT);
    assert!(!mux.wants_transmit(), "no turn without credit");
    mux.receive(Frame::Credit(vec![(1, CREDIT - 1), (1, CREDIT)])).unwrap();
    assert!(!mux.wants_transmit(), "no news");
    mux.receive(Frame::Credit(vec![(1, CREDIT + 50)])).unwrap();
    assert_eq!(data_bytes(&sent(&mut mux)), 50);
}

#[test]
fn a_fin_needs_no_credit_and_comes_behind_the_last_byte() {
    let mut mux = gateway();
    for _ in 0..2 {
        mux.write(1, &[0; SEND_BUFFER]);
        sent(&mut mux);
    }
    assert_eq!(mux.write(1, &[0; 200]), Written::Some(200));
    mux.finish(1);
    let frames = sent(&mut mux);
    assert_eq!(frames.last(), Some(&Frame::Fin { stream: 1, offset: CREDIT }));
}

#[test]
fn writers_are_told_at_half_of_the_buffer() {
    let mut mux = gateway();
    assert_eq!(mux.write(1, &[0; 1000]), Written::Some(SEND_BUFFER), "as much as fits");
    assert_eq!(mux.write(1, b"x"), Written::Blocked);
    assert_eq!(mux.write(1, b""), Written::Some(0));
    sent_within(&mut mux, 1);
    assert_eq!(events(&mut mux), []);
    sent_within(&mut mux, 1);
    assert_eq!(events(&mut mux), [Event::Writable(1)]);
    sent(&mut mux);
    assert_eq!(events(&mut mux), [], "once");
}

#[test]
fn reading_grants_more_at_half_a_window_in_one_frame_for_all_streams() {
    let mut mux = client();
    mux.receive(Frame::Open(open(3))).unwrap();
    for stream in [1, 3] {
        for _ in 0..2 {
            mux.receive(bytes(stream, 250)).unwrap();
            assert!(matches!(read(&mut mux, stream), Read::Chunk(_)));
        }
        assert_eq!(mux.outstanding(stream), CREDIT);
    }
    assert_eq!(sent(&mut mux), [Frame::Credit(vec![(1, 1500), (3, 1500)])]);
    mux.receive(bytes(1, 1000)).unwrap();
    assert_eq!((mux.outstanding(1), mux.buffered(1)), (1000, 1000));
    assert_eq!(sent(&mut mux), []);
}

#[test]
fn grants_that_wait_become_one() {
    let mut mux = client();
    for _ in 0..10 {
        mux.receive(bytes(1, 500)).unwrap();
        assert!(matches!(read(&mut mux, 1), Read::Chunk(_)));
    }
    assert_eq!(sent(&mut mux), [Frame::Credit(vec![(1, 6000)])]);
}

#[test]
fn many_grants_are_cut_into_legal_frames() {
    let mut mux = Mux::new(MuxConfig { max_streams: 600, ..config(Side::Client) });
    for n in 0..600 {
        mux.receive(Frame::Open(open(2 * n + 1))).unwrap();
        mux.receive(bytes(2 * n + 1, 600)).unwrap();
        assert!(matches!(read(&mut mux, 2 * n + 1), Read::Chunk(_)));
    }
    let pairs: Vec<usize> = sent(&mut mux)
        .iter()
        .map(|frame| match frame {
            Frame::Credit(pairs) => pairs.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(pairs, [256, 256, 88]);
}

#[test]
fn a_direction_that_ended_is_granted_nothing() {
    let mut mux = client();
    mux.receive(bytes(1, 800)).unwrap();
    assert!(matches!(read(&mut mux, 1), Read::Chunk(_)));
    mux.receive(Frame::Fin { stream: 1, offset: 800 }).unwrap();
    assert_eq!(sent(&mut mux), [Frame::FinAck { stream: 1 }]);
    assert_eq!(mux.outstanding(1), 0);
}

/// Feeds and reads half windows, 1 ms apart, on a link of 50 ms.
fn stream_through(mux: &mut Mux, starve: impl Fn(&mut Mux)) -> u64 {
    let mut now = Instant::now();
    let rtt = Duration::from_millis(50);
    for _ in 0..40 {
        now += Duration::from_millis(1);
        mux.receive(bytes(1, 250)).unwrap();
        assert!(matches!(mux.read(1, now, rtt), Read::Chunk(_)));
        starve(mux);
    }
    mux.outstanding(1)
}

#[test]
fn windows_grow_only_for_readers_that_wait_and_give_back_at_the_end() {
    let pool = GrowthPool::new(10 * CREDIT);
    let new = || {
        let mut mux = Mux::new(MuxConfig { pool: pool.clone(), ..config(Side::Client) });
        mux.receive(Frame::Open(open(1))).unwrap();
        mux
    };
    let mut busy = new();
    assert!(stream_through(&mut busy, |_| {}) <= CREDIT);
    assert_eq!(pool.used(), 0);

    let mut waiting = new();
    let outstanding = stream_through(&mut waiting, |mux| assert_eq!(read(mux, 1), Read::Blocked));
    assert!(outstanding > 2 * CREDIT && outstanding <= 4 * CREDIT, "{outstanding}");
    assert_eq!(pool.used(), 3 * CREDIT);

    waiting.receive(bytes(1, 10)).unwrap();
    waiting.receive(Frame::Fin { stream: 1, offset: 40 * 250 + 10 }).unwrap();
    assert_eq!(pool.used(), 3 * CREDIT, "as long as bytes are held");
    assert!(matches!(read(&mut waiting, 1), Read::Chunk(_)));
    assert_eq!(pool.used(), 0);
}
