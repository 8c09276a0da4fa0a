//! Two muxes against a reference model: random use, random cuts and delays of what they send.
//!
//! The model knows, for each direction, how many bytes were written and which ends it may have.
//! Each byte is a function of stream, direction and offset, so a reader can judge what it gets.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail loudly, and look at few of many frames"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyproxy_wire::codes::{OpenCode, StreamCode};
use anyproxy_wire::credit::GrowthPool;
use anyproxy_wire::frame::{Frame, Stage, decode_message};
use anyproxy_wire::message::{Ingress, Open, OpenReply, Protocol, Target};
use anyproxy_wire::mux::{Event, FinState, Mux, MuxConfig, MuxError, Read, Side, Written};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

const CREDIT: u64 = 600;
const CEILING: u64 = 5000;
const SEND_BUFFER: usize = 700;
const DATA_FRAME: usize = 64;
const MAX_STREAMS: usize = 6;
const RTT: Duration = Duration::from_millis(50);

/// Gateway and client, as indexes.
const ENDS: [usize; 2] = [0, 1];

#[derive(Debug, Clone)]
enum Op {
    Open,
    Reply(usize, OpenCode),
    Write(usize, usize, usize),
    Finish(usize, usize),
    Reset(usize, usize, StreamCode),
    Stop(usize, usize, StreamCode),
    Read(usize, usize),
    Release(usize, usize),
    Datagram(usize, usize, usize),
    Ping(usize),
    Transmit(usize, usize),
    Deliver(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let end = || 0..2_usize;
    let pick = || 0..8_usize;
    let code = || prop::sample::select(StreamCode::ALL);
    let reply = prop_oneof![
        4 => Just(OpenCode::Connected),
        1 => prop::sample::select(OpenCode::ALL),
    ];
    let op = prop_oneof![
        3 => Just(Op::Open),
        4 => (pick(), reply).prop_map(|(i, code)| Op::Reply(i, code)),
        12 => (end(), pick(), 0..900_usize).prop_map(|(e, i, n)| Op::Write(e, i, n)),
        2 => (end(), pick()).prop_map(|(e, i)| Op::Finish(e, i)),
        1 => (end(), pick(), code()).prop_map(|(e, i, c)| Op::Reset(e, i, c)),
        1 => (end(), pick(), code()).prop_map(|(e, i, c)| Op::Stop(e, i, c)),
        12 => (end(), pick()).prop_map(|(e, i)| Op::Read(e, i)),
        1 => (end(), pick()).prop_map(|(e, i)| Op::Release(e, i)),
        2 => (end(), pick(), 0..100_usize).prop_map(|(e, i, n)| Op::Datagram(e, i, n)),
        1 => end().prop_map(Op::Ping),
        12 => (end(), 1..2000_usize).prop_map(|(e, n)| Op::Transmit(e, n)),
        12 => end().prop_map(Op::Deliver),
    ];
    prop::collection::vec(op, 0..300)
}

/// One direction, as the model sees it.
#[derive(Debug, Default)]
struct Way {
    written: u64,
    finished: bool,
    /// Codes with which the sender may have reset.
    resets: BTreeSet<u64>,
    read: u64,
    stops: BTreeSet<u64>,
    /// The end that the reader saw.
    end: Option<Read>,
    /// On the wire, as an observer counts.
    on_wire: u64,
    granted: u64,
}

#[derive(Debug, Default)]
struct Model {
    /// By the end that sends.
    ways: [Way; 2],
    present: [bool; 2],
    replied: bool,
    connected: bool,
}

struct World {
    muxes: [Mux; 2],
    /// Messages by the end that sent them.
    wires: [VecDeque<Bytes>; 2],
    streams: BTreeMap<u64, Model>,
    blocked_readers: BTreeSet<(usize, u64)>,
    blocked_writers: BTreeSet<(usize, u64)>,
    closed: [BTreeSet<u64>; 2],
    next_id: u64,
    now: Instant,
    pools: [Arc<GrowthPool>; 2],
}

fn pattern(id: u64, from: usize, start: u64, length: usize) -> Vec<u8> {
    let key = id * 97 + from as u64 * 59;
    (start..start + length as u64).map(|at| ((at * 31) ^ (at >> 8) ^ key) as u8).collect()
}

impl World {
    fn new() -> Self {
        let pools = [GrowthPool::new(3000), GrowthPool::new(3000)];
        let mux = |side, pool: &Arc<GrowthPool>| {
            Mux::new(MuxConfig {
                side,
                send_credit: CREDIT,
                recv_credit: CREDIT,
                recv_ceiling: CEILING,
                max_streams: MAX_STREAMS,
                send_buffer: SEND_BUFFER,
                data_frame: DATA_FRAME,
                pool: pool.clone(),
            })
        };
        Self {
            muxes: [mux(Side::Gateway, &pools[0]), mux(Side::Client, &pools[1])],
            wires: Default::default(),
            streams: BTreeMap::new(),
            blocked_readers: BTreeSet::new(),
            blocked_writers: BTreeSet::new(),
            closed: Default::default(),
            next_id: 1,
            now: Instant::now(),
            pools,
        }
    }

    fn pick(&self, end: usize, i: usize) -> Option<u64> {
        let ids: Vec<u64> =
            self.streams.iter().filter(|(_, m)| m.present[end]).map(|(&id, _)| id).collect();
        (!ids.is_empty()).then(|| ids[i % ids.len()])
    }

    fn apply(&mut self, op: &Op) {
        self.now += Duration::from_millis(3);
        match *op {
            Op::Open => self.open(),
            Op::Ping(end) => self.muxes[end].ping([7; 8]),
            Op::Transmit(end, budget) => self.transmit(end, budget),
            Op::Deliver(to) => self.deliver(to),
            Op::Reply(i, code) => self.with(1, i, |w, id| w.reply(id, code)),
            Op::Write(end, i, n) => self.with(end, i, |w, id| w.write(end, id, n)),
            Op::Finish(end, i) => self.with(end, i, |w, id| w.finish(end, id)),
            Op::Reset(end, i, code) => self.with(end, i, |w, id| {
                w.way(id, end).resets.insert(code.as_u64());
                w.muxes[end].reset(id, code);
            }),
            Op::Stop(end, i, code) => self.with(end, i, |w, id| {
                w.way(id, 1 - end).stops.insert(code.as_u64());
                w.blocked_readers.remove(&(end, id));
                w.muxes[end].stop(id, code);
                assert_eq!(w.muxes[end].read(id, w.now, RTT), Read::Gone);
            }),
            Op::Read(end, i) => self.with(end, i, |w, id| {
                w.read(end, id);
            }),
            Op::Release(end, i) => self.with(end, i, |w, id| w.release(end, id)),
            Op::Datagram(end, i, n) => self.with(end, i, |w, id| {
                w.muxes[end].datagram(id, &vec![id as u8; n]);
            }),
        }
        self.check();
    }

    fn with(&mut self, end: usize, i: usize, act: impl FnOnce(&mut Self, u64)) {
        if let Some(id) = self.pick(end, i) {
            act(self, id);
        }
    }

    fn way(&mut self, id: u64, from: usize) -> &mut Way {
        &mut self.streams.get_mut(&id).unwrap().ways[from]
    }

    fn open(&mut self) {
        let id = self.next_id;
        let protocol = if id % 4 == 1 { Protocol::Tcp } else { Protocol::Udp };
        let open = Open {
            stream: id,
            ingress: Ingress::Socks5,
            target: Target::Forward(id),
            source: None,
            destination: None,
            user: String::new(),
            protocol,
        };
        match self.muxes[0].open(open) {
            Ok(()) => {
                let mut model = Model { present: [true, false], ..Model::default() };
                model.ways.iter_mut().for_each(|way| way.granted = CREDIT);
                self.streams.insert(id, model);
                self.next_id += 2;
            }
            Err(error) => {
                assert_eq!(error, MuxError::TooManyStreams);
                assert_eq!(self.muxes[0].stream_count(), MAX_STREAMS);
            }
        }
    }

    fn reply(&mut self, id: u64, code: OpenCode) {
        let reply = OpenReply { stream: id, code, detail: String::new(), address: None };
        let answered = self.muxes[1].reply(reply);
        let model = self.streams.get_mut(&id).unwrap();
        assert!(!model.replied || answered.is_err(), "a second reply");
        model.replied = true;
        model.connected |= answered.is_ok() && code == OpenCode::Connected;
    }

    fn write(&mut self, end: usize, id: u64, n: usize) {
        let start = self.way(id, end).written;
        let bytes = pattern(id, end, start, n);
        match self.muxes[end].write(id, &bytes) {
            Written::Some(taken) => {
                assert!(taken > 0 || n == 0);
                let way = self.way(id, end);
                way.written += taken as u64;
                let waiting = way.written - way.on_wire;
                assert!(waiting <= SEND_BUFFER as u64, "{waiting} bytes wait");
            }
            Written::Blocked => {
                let way = self.way(id, end);
                assert_eq!(way.written - way.on_wire, SEND_BUFFER as u64);
                self.blocked_writers.insert((end, id));
            }
            Written::Stopped(code) => {
                assert!(self.way(id, end).stops.contains(&code.as_u64()), "{code}");
            }
            Written::Gone => {
                let connected = self.streams[&id].connected;
                let way = self.way(id, end);
                assert!(way.finished || !way.resets.is_empty() || !connected);
            }
        }
    }

    fn finish(&mut self, end: usize, id: u64) {
        if self.muxes[end].fin_state(id) == FinState::Open {
            self.way(id, end).finished = true;
        }
        self.muxes[end].finish(id);
    }

    fn read(&mut self, end: usize, id: u64) -> Read {
        let read = self.muxes[end].read(id, self.now, RTT);
        let from = 1 - end;
        let connected = self.streams[&id].connected;
        let way = self.way(id, from);
        if let Some(last) = &way.end {
            assert!(*last == read || read == Read::Gone, "{last:?} was not the end: {read:?}");
        }
        match &read {
            Read::Chunk(bytes) => {
                assert!(!bytes.is_empty());
                let sent = pattern(id, from, way.read, bytes.len());
                assert_eq!(*bytes, sent, "order of {id}");
                way.read += bytes.len() as u64;
                assert!(way.read <= way.on_wire);
            }
            Read::Blocked => {
                self.blocked_readers.insert((end, id));
            }
            Read::Finished => {
                assert!(way.finished, "nobody finished {id}");
                assert_eq!(way.read, way.written, "finished early");
                way.end = Some(read.clone());
            }
            Read::Reset(code) => {
                let failed = *code == StreamCode::OpenFailed && !connected;
                assert!(failed || way.resets.contains(&code.as_u64()), "{code} out of the blue");
                way.end = Some(read.clone());
            }
            Read::Gone => assert!(!way.stops.is_empty()),
        }
        read
    }

    fn release(&mut self, end: usize, id: u64) {
        let cancelled = StreamCode::Cancelled.as_u64();
        let model = self.streams.get_mut(&id).unwrap();
        model.present[end] = false;
        model.ways[end].resets.insert(cancelled);
        model.ways[1 - end].stops.insert(cancelled);
        self.blocked_readers.remove(&(end, id));
        self.blocked_writers.remove(&(end, id));
        self.muxes[end].release(id);
        assert_eq!(self.muxes[end].read(id, self.now, RTT), Read::Gone);
        assert_eq!(self.muxes[end].write(id, b"x"), Written::Gone);
    }

    fn transmit(&mut self, end: usize, budget: usize) {
        let mut out = BytesMut::new();
        let wanted = self.muxes[end].wants_transmit();
        let count = self.muxes[end].transmit(&mut out, budget);
        assert_eq!(count, out.len());
        assert!(wanted || count == 0);
        let message = out.freeze();
        self.observe(end, message.clone());
        if !message.is_empty() {
            self.wires[end].push_back(message);
        }
        self.events(end);
    }

    /// What anybody could check who reads the wire.
    fn observe(&mut self, end: usize, mut message: Bytes) {
        while let Some(frame) = decode_message(&mut message, Stage::Established).unwrap() {
            match frame {
                Frame::Data { stream, bytes } => {
                    let way = self.way(stream, end);
                    way.on_wire += bytes.len() as u64;
                    assert!(bytes.len() <= DATA_FRAME);
                    assert!(way.on_wire <= way.granted, "credit of {stream}");
                }
                Frame::Fin { stream, offset } => {
                    assert_eq!(self.way(stream, end).on_wire, offset);
                    assert_eq!(self.way(stream, end).written, offset);
                }
                _ => {}
            }
        }
    }

    fn deliver(&mut self, to: usize) {
        let Some(mut message) = self.wires[1 - to].pop_front() else { return };
        while let Some(frame) = decode_message(&mut message, Stage::Established).unwrap() {
            if let Frame::Credit(pairs) = &frame {
                for &(id, offset) in pairs {
                    let way = self.way(id, to);
                    way.granted = way.granted.max(offset);
                }
            }
            self.muxes[to].receive(frame).unwrap();
            self.events(to);
        }
    }

    fn events(&mut self, end: usize) {
        while let Some(event) = self.muxes[end].poll_event() {
            match event {
                Event::Opened(open) => {
                    let model = self.streams.get_mut(&open.stream).unwrap();
                    assert!(end == 1 && !model.present[1]);
                    model.present[1] = true;
                }
                Event::Replied(reply) => {
                    assert!(end == 0);
                    let connected = reply.code == OpenCode::Connected;
                    assert_eq!(connected, self.streams[&reply.stream].connected);
                    if !connected {
                        let failed = StreamCode::OpenFailed.as_u64();
                        self.way(reply.stream, 0).resets.insert(failed);
                    }
                }
                Event::Readable(id) => {
                    self.blocked_readers.remove(&(end, id));
                }
                Event::Writable(id) => {
                    self.blocked_writers.remove(&(end, id));
                }
                Event::FinAcked(id) => assert!(self.way(id, end).finished),
                Event::Stopped(id, code) => {
                    assert!(self.way(id, end).stops.contains(&code.as_u64()));
                    self.way(id, end).resets.insert(code.as_u64());
                }
                Event::Datagram(id, bytes) => {
                    assert!(bytes.iter().all(|&b| b == id as u8));
                }
                Event::Control(frame) => assert_eq!(frame.name(), "Pong"),
                Event::Closed(id) => {
                    assert!(self.closed[end].insert(id), "closed twice");
                    assert!(!self.streams[&id].present[end]);
                }
            }
        }
    }

    fn check(&mut self) {
        for end in ENDS {
            self.events(end);
            let mux = &self.muxes[end];
            assert!(mux.stream_count() <= MAX_STREAMS);
            assert!(self.pools[end].used() <= 3000);
            for &id in self.streams.keys() {
                assert!(mux.buffered(id) <= mux.outstanding(id));
                assert!(mux.outstanding(id) <= CEILING);
            }
            for &(at, id) in &self.blocked_readers {
                assert!(at != end || mux.buffered(id) == 0, "the reader of {id} sleeps");
            }
        }
    }

    /// Carries everything both ways until nothing is left to carry.
    fn quiesce(&mut self) {
        while ENDS.iter().any(|&e| self.muxes[e].wants_transmit() || !self.wires[e].is_empty()) {
            for end in ENDS {
                self.transmit(end, 1 << 16);
                self.deliver(1 - end);
            }
        }
        self.check();
    }

    /// All that is still open is answered, finished and read to its end.
    fn complete(&mut self) {
        self.quiesce();
        let ids: Vec<u64> = self.streams.keys().copied().collect();
        for &id in &ids {
            if self.streams[&id].present[1] {
                self.reply(id, OpenCode::Connected);
            }
            for end in ENDS {
                if self.streams[&id].present[end] {
                    self.finish(end, id);
                }
            }
        }
        let mut progress = true;
        while progress {
            self.quiesce();
            progress = false;
            for (end, id) in ENDS.into_iter().flat_map(|e| ids.iter().map(move |&id| (e, id))) {
                while self.streams[&id].present[end] && matches!(self.read(end, id), Read::Chunk(_))
                {
                    progress = true;
                }
            }
        }
        for (&id, model) in &self.streams {
            for end in ENDS.into_iter().filter(|&end| model.present[end]) {
                let way = &model.ways[1 - end];
                assert!(way.end.is_some() || !way.stops.is_empty(), "{id} hangs: {way:?}");
                let state = self.muxes[end].fin_state(id);
                assert!(!matches!(state, FinState::Open | FinState::Pending), "{id} {state:?}");
            }
        }
        assert!(self.blocked_writers.is_empty(), "writers sleep");
    }

    fn leave(&mut self) {
        for end in ENDS {
            while let Some(id) = self.pick(end, 0) {
                self.release(end, id);
            }
        }
        self.quiesce();
        for end in ENDS {
            while let Some(id) = self.pick(end, 0) {
                self.release(end, id);
            }
        }
        self.quiesce();
        for end in ENDS {
            assert_eq!(self.muxes[end].stream_count(), 0, "end {end} remembers");
            assert_eq!(self.pools[end].used(), 0);
        }
        assert!(self.streams.keys().all(|id| self.closed[0].contains(id)));
    }
}

proptest! {
    #[test]
    fn bytes_arrive_in_order_and_whole_whatever_happens_around_them(ops in ops()) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.apply(op));
        world.complete();
        world.leave();
    }

    #[test]
    fn all_streams_are_forgotten_when_released_at_any_moment(ops in ops()) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.apply(op));
        world.leave();
    }
}
