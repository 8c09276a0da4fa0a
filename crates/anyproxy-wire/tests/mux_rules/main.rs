//! Each rule of the WebSocket mux by itself: one mux, and a peer made of frames.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail loudly, and look at few of many frames"
)]

mod credit;
mod ends;
mod memory;
mod opening;
mod order;

use std::time::{Duration, Instant};

use anyproxy_wire::codes::{CloseCode, OpenCode};
use anyproxy_wire::credit::GrowthPool;
use anyproxy_wire::frame::{Frame, Stage, decode_message};
use anyproxy_wire::message::{Goaway, Ingress, Open, OpenReply, Protocol, Target};
use anyproxy_wire::mux::{Event, Mux, MuxConfig, Read, Side};
use bytes::{Bytes, BytesMut};

const CREDIT: u64 = 1000;
const SEND_BUFFER: usize = 400;
const DATA_FRAME: usize = 100;

fn config(side: Side) -> MuxConfig {
    MuxConfig {
        side,
        send_credit: CREDIT,
        recv_credit: CREDIT,
        recv_ceiling: 4 * CREDIT,
        max_streams: 4,
        send_buffer: SEND_BUFFER,
        data_frame: DATA_FRAME,
        pool: GrowthPool::new(1 << 20),
    }
}

fn open(stream: u64) -> Open {
    Open {
        stream,
        ingress: Ingress::HttpConnect,
        target: Target::Name("example.org:443".to_owned()),
        source: None,
        destination: None,
        user: String::new(),
        protocol: Protocol::Tcp,
    }
}

fn flow(stream: u64) -> Open {
    Open { protocol: Protocol::Udp, ..open(stream) }
}

fn reply(stream: u64, code: OpenCode) -> OpenReply {
    OpenReply { stream, code, detail: String::new(), address: None }
}

fn data(stream: u64, bytes: &'static [u8]) -> Frame {
    Frame::Data { stream, bytes: Bytes::from_static(bytes) }
}

fn goaway() -> Frame {
    Frame::Goaway(Goaway {
        code: CloseCode::Shutdown,
        reconnect_after: Duration::ZERO,
        drain: Duration::ZERO,
        reason: String::new(),
    })
}

/// A gateway whose stream 1 is connected; nothing waits.
fn gateway() -> Mux {
    let mut mux = Mux::new(config(Side::Gateway));
    mux.open(open(1)).unwrap();
    sent(&mut mux);
    mux.receive(Frame::OpenReply(reply(1, OpenCode::Connected))).unwrap();
    assert_eq!(events(&mut mux), [Event::Replied(reply(1, OpenCode::Connected))]);
    mux
}

/// A client that has answered stream 1; nothing waits.
fn client() -> Mux {
    let mut mux = Mux::new(config(Side::Client));
    mux.receive(Frame::Open(open(1))).unwrap();
    assert_eq!(events(&mut mux), [Event::Opened(open(1))]);
    mux.reply(reply(1, OpenCode::Connected)).unwrap();
    assert_eq!(sent(&mut mux), [Frame::OpenReply(reply(1, OpenCode::Connected))]);
    mux
}

fn sent(mux: &mut Mux) -> Vec<Frame> {
    sent_within(mux, usize::MAX)
}

fn sent_within(mux: &mut Mux, budget: usize) -> Vec<Frame> {
    let mut out = BytesMut::new();
    mux.transmit(&mut out, budget);
    let mut message = out.freeze();
    let mut frames = Vec::new();
    while let Some(frame) = decode_message(&mut message, Stage::Established).unwrap() {
        frames.push(frame);
    }
    frames
}

fn events(mux: &mut Mux) -> Vec<Event> {
    std::iter::from_fn(|| mux.poll_event()).collect()
}

fn read(mux: &mut Mux, stream: u64) -> Read {
    mux.read(stream, Instant::now(), Duration::ZERO)
}

fn chunk(bytes: &'static [u8]) -> Read {
    Read::Chunk(Bytes::from_static(bytes))
}
