//! Streams share the tunnel in turn, whatever they have and however it is cut into messages.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail loudly, and look at few of many frames"
)]

use std::collections::{BTreeMap, BTreeSet};

use anyproxy_wire::credit::GrowthPool;
use anyproxy_wire::frame::{Frame, Stage, decode_message};
use anyproxy_wire::message::{Ingress, Open, Protocol, Target};
use anyproxy_wire::mux::{Mux, MuxConfig, Queued, Side, Written};
use bytes::BytesMut;
use proptest::prelude::*;

const FRAME: usize = 100;

fn gateway(streams: u64) -> Mux {
    let mut mux = Mux::new(MuxConfig {
        side: Side::Gateway,
        send_credit: u64::MAX,
        recv_credit: 1000,
        recv_ceiling: 1000,
        max_streams: 100,
        send_buffer: 1 << 20,
        data_frame: FRAME,
        pool: GrowthPool::new(0),
    });
    for n in 0..streams {
        let protocol = if n == 0 { Protocol::Udp } else { Protocol::Tcp };
        mux.open(Open {
            stream: 2 * n + 1,
            ingress: Ingress::Forward,
            target: Target::Forward(n),
            source: None,
            destination: None,
            user: String::new(),
            protocol,
        })
        .unwrap();
    }
    mux.transmit(&mut BytesMut::new(), usize::MAX);
    mux
}

fn sent(mux: &mut Mux, budget: usize) -> Vec<Frame> {
    let mut out = BytesMut::new();
    mux.transmit(&mut out, budget);
    let mut message = out.freeze();
    let mut frames = Vec::new();
    while let Some(frame) = decode_message(&mut message, Stage::Established).unwrap() {
        frames.push(frame);
    }
    frames
}

#[derive(Debug, Clone)]
enum Op {
    Write(u64, usize),
    Transmit(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        (0..8_u64, 1..2000_usize).prop_map(|(n, size)| Op::Write(2 * n + 1, size)),
        (1..800_usize).prop_map(Op::Transmit),
    ];
    prop::collection::vec(op, 0..200)
}

/// For each stream that waits, the streams that had a turn since it last had one (or came).
#[derive(Default)]
struct Turns {
    waiting: BTreeMap<u64, usize>,
    since: BTreeMap<u64, BTreeSet<u64>>,
}

impl Turns {
    fn write(&mut self, id: u64, size: usize) {
        *self.waiting.entry(id).or_default() += size;
        self.since.entry(id).or_default();
    }

    fn turn(&mut self, id: u64, size: usize) {
        for (&other, seen) in self.since.iter_mut().filter(|(other, _)| **other != id) {
            assert!(seen.insert(id), "{id} had two turns while {other} waited");
        }
        let left = self.waiting.get_mut(&id).unwrap();
        assert!(size == FRAME || size == *left, "a turn is a whole frame");
        *left -= size;
        if *left == 0 {
            self.waiting.remove(&id);
            self.since.remove(&id);
        } else {
            self.since.insert(id, BTreeSet::new());
        }
    }
}

proptest! {
    #[test]
    fn between_two_turns_of_one_stream_each_other_has_one(ops in ops()) {
        let mut mux = gateway(8);
        let mut turns = Turns::default();
        for op in ops.into_iter().chain([Op::Transmit(usize::MAX)]) {
            match op {
                Op::Write(id, size) => {
                    prop_assert_eq!(mux.write(id, &vec![0; size]), Written::Some(size));
                    turns.write(id, size);
                }
                Op::Transmit(budget) => {
                    for frame in sent(&mut mux, budget) {
                        let Frame::Data { stream, bytes } = frame else { panic!("{frame:?}") };
                        turns.turn(stream, bytes.len());
                    }
                }
            }
        }
        prop_assert!(turns.waiting.is_empty(), "all was sent in the end");
    }
}

#[test]
fn a_flood_of_datagrams_leaves_half_of_each_message_to_the_streams() {
    let mut mux = gateway(2);
    mux.write(3, &[0; 100_000]);
    let mut bulk = 0;
    for _ in 0..20 {
        while mux.datagram(1, &[0; 50]) == Queued::Queued {}
        bulk += sent(&mut mux, 2000).iter().filter(|f| matches!(f, Frame::Data { .. })).count();
    }
    assert!(bulk >= 20 * 8, "{bulk} frames of stream bytes");
}

#[test]
fn flows_share_in_turn() {
    let mut mux = Mux::new(MuxConfig {
        side: Side::Gateway,
        send_credit: 0,
        recv_credit: 0,
        recv_ceiling: 0,
        max_streams: 3,
        send_buffer: 1,
        data_frame: 1,
        pool: GrowthPool::new(0),
    });
    for id in [1, 3, 5] {
        mux.open(Open {
            stream: id,
            ingress: Ingress::Forward,
            target: Target::Forward(id),
            source: None,
            destination: None,
            user: String::new(),
            protocol: Protocol::Udp,
        })
        .unwrap();
        for _ in 0..3 {
            assert_eq!(mux.datagram(id, b"hello"), Queued::Queued);
        }
    }
    let order: Vec<u64> = sent(&mut mux, usize::MAX)
        .iter()
        .filter_map(|frame| match frame {
            Frame::Datagram { stream, .. } => Some(*stream),
            _ => None,
        })
        .collect();
    assert_eq!(order, [1, 3, 5, 1, 3, 5, 1, 3, 5]);
}
