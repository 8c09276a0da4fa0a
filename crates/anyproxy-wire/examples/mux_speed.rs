//! How fast the mux moves bytes on one core: `cargo run --release --example mux_speed`.
//!
//! A gateway's and a client's mux, joined by messages in memory; the gateway sends. Everything
//! between the two `write` and `read` calls is measured: both copies, all frames, credits.

#![allow(clippy::print_stdout, reason = "it prints its result")]

use std::time::{Duration, Instant};

use anyproxy_wire::codes::OpenCode;
use anyproxy_wire::credit::GrowthPool;
use anyproxy_wire::frame::{Stage, decode_message};
use anyproxy_wire::message::{Ingress, Open, OpenReply, Protocol, Target};
use anyproxy_wire::mux::{Event, Mux, MuxConfig, Read, Side, Written};
use bytes::BytesMut;

const BYTES: u64 = 8 << 30;
const WRITE: usize = 64 * 1024;
const BUDGET: usize = 128 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for streams in [1, 8, 256] {
        for data_frame in [4096, 16_384, 65_536] {
            let speed = run(streams, data_frame)?;
            println!("{streams:4} streams, Data of {data_frame:5} bytes: {speed:.2} GB/s");
        }
    }
    Ok(())
}

fn run(streams: u64, data_frame: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let mut gateway = mux(Side::Gateway, data_frame);
    let mut client = mux(Side::Client, data_frame);
    let ids: Vec<u64> = (0..streams).map(|n| 2 * n + 1).collect();
    for &id in &ids {
        gateway.open(open(id))?;
    }
    let payload = vec![7; WRITE];
    let start = Instant::now();
    let mut moved = 0;
    while moved < BYTES {
        for &id in &ids {
            while let Written::Some(_) = gateway.write(id, &payload) {}
        }
        carry(&mut gateway, &mut client)?;
        for &id in &ids {
            while let Read::Chunk(bytes) = client.read(id, start, Duration::ZERO) {
                moved += bytes.len() as u64;
            }
        }
        carry(&mut client, &mut gateway)?;
    }
    Ok(moved as f64 / start.elapsed().as_secs_f64() / 1e9)
}

/// Moves one message.
fn carry(from: &mut Mux, to: &mut Mux) -> Result<(), Box<dyn std::error::Error>> {
    let mut message = BytesMut::with_capacity(BUDGET + WRITE);
    from.transmit(&mut message, BUDGET);
    while from.poll_event().is_some() {}
    let mut message = message.freeze();
    while let Some(frame) = decode_message(&mut message, Stage::Established)? {
        to.receive(frame)?;
        while let Some(event) = to.poll_event() {
            if let Event::Opened(open) = event {
                let (code, detail) = (OpenCode::Connected, String::new());
                to.reply(OpenReply { stream: open.stream, code, detail, address: None })?;
            }
        }
    }
    Ok(())
}

fn mux(side: Side, data_frame: usize) -> Mux {
    Mux::new(MuxConfig {
        side,
        send_credit: 1 << 20,
        recv_credit: 1 << 20,
        recv_ceiling: 16 << 20,
        max_streams: 1024,
        send_buffer: 256 * 1024,
        data_frame,
        pool: GrowthPool::new(256 << 20),
    })
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
