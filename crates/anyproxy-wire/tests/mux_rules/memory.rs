//! What received chunks pin.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyproxy_wire::frame::{Frame, MAX_MESSAGE};
use anyproxy_wire::mux::{Mux, MuxConfig, Read, Side};
use bytes::Bytes;

use super::*;

const WINDOW: usize = 256 * 1024;

/// A message that counts as long as anything of it lives. (They share their bytes, which is
/// faster to make and makes no difference.)
struct Message {
    bytes: Arc<[u8]>,
    alive: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        self.alive.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

struct Wire {
    bytes: Arc<[u8]>,
    alive: Arc<AtomicUsize>,
    sent: usize,
}

impl Wire {
    fn new() -> Self {
        let bytes = (0..MAX_MESSAGE).map(|n| n as u8).collect();
        Self { bytes, alive: Arc::default(), sent: 0 }
    }

    fn message(&self) -> Bytes {
        self.alive.fetch_add(MAX_MESSAGE, Ordering::Relaxed);
        Bytes::from_owner(Message { bytes: self.bytes.clone(), alive: self.alive.clone() })
    }

    fn pinned(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }

    /// One Data from the middle of a message of its own, as long as credit is left.
    fn feed(&mut self, mux: &mut Mux, size: usize) -> bool {
        if self.sent + size > WINDOW {
            return false;
        }
        self.sent += size;
        let bytes = self.message().slice(1000..1000 + size);
        mux.receive(Frame::Data { stream: 1, bytes }).unwrap();
        true
    }
}

fn client() -> Mux {
    let recv_credit = WINDOW as u64;
    let mut mux =
        Mux::new(MuxConfig { recv_credit, recv_ceiling: recv_credit, ..config(Side::Client) });
    mux.receive(Frame::Open(open(1))).unwrap();
    mux
}

#[test]
fn small_slices_of_large_messages_pin_at_most_one_of_them() {
    for size in [1, 100, 2047, 2048, 5000, 16_384] {
        let (mut mux, mut wire) = (client(), Wire::new());
        let few = if size == 1 { 3000 } else { usize::MAX };
        while wire.sent < few && wire.feed(&mut mux, size) {}
        assert!(wire.pinned() <= MAX_MESSAGE, "{size}: {}", wire.pinned());
        assert_eq!(mux.buffered(1), wire.sent as u64);
        let mut read_bytes = 0;
        while let Read::Chunk(bytes) = read(&mut mux, 1) {
            for (i, &byte) in bytes.iter().enumerate() {
                assert_eq!(byte, (1000 + (read_bytes + i) % size) as u8);
            }
            read_bytes += bytes.len();
        }
        assert_eq!(read_bytes, wire.sent);
        assert_eq!(wire.pinned(), 0);
    }
}

#[test]
fn tiny_chunks_are_read_as_few_large_ones() {
    let (mut mux, mut wire) = (client(), Wire::new());
    (0..3000).for_each(|_| assert!(wire.feed(&mut mux, 1)));
    let mut reads = 0;
    while let Read::Chunk(_) = read(&mut mux, 1) {
        reads += 1;
    }
    assert!(reads <= 5, "{reads}");
}

#[test]
fn tiny_neighbours_in_one_message_are_not_kept_one_by_one() {
    let (mut mux, wire) = (client(), Wire::new());
    let message = wire.message();
    for at in 0..50_000 {
        mux.receive(Frame::Data { stream: 1, bytes: message.slice(at..at + 1) }).unwrap();
    }
    let mut reads = 0;
    while let Read::Chunk(_) = read(&mut mux, 1) {
        reads += 1;
    }
    assert!(reads <= 12, "{reads}");
}

#[test]
fn a_copy_between_two_slices_ends_the_run() {
    let (mut mux, wire) = (client(), Wire::new());
    let message = wire.message();
    for (start, end) in [(0, 3000), (3000, 3001), (3001, 6001), (6001, 9000)] {
        mux.receive(Frame::Data { stream: 1, bytes: message.slice(start..end) }).unwrap();
    }
    read_and_compare(&mut mux);
    let next = message.slice(9000..12_000);
    mux.receive(Frame::Data { stream: 1, bytes: next.clone() }).unwrap();
    let Read::Chunk(bytes) = read(&mut mux, 1) else { panic!("bytes are there") };
    assert_eq!(bytes.as_ptr(), next.as_ptr(), "no run is counted that has ended");
}

#[test]
fn a_reader_that_keeps_up_gets_slices_without_a_copy() {
    let (mut mux, wire) = (client(), Wire::new());
    for _ in 0..50 {
        let message = wire.message();
        // Neighbours, as a sender of one stream makes them.
        for start in (0..64 * 1024).step_by(16_384) {
            let bytes = message.slice(start + 8..start + 16_384);
            mux.receive(Frame::Data { stream: 1, bytes }).unwrap();
        }
        for start in (0..64 * 1024).step_by(16_384) {
            let Read::Chunk(bytes) = read(&mut mux, 1) else { panic!("bytes are there") };
            assert_eq!(bytes.as_ptr(), message[start + 8..].as_ptr());
        }
        assert_eq!(read(&mut mux, 1), Read::Blocked);
    }
    assert_eq!(wire.pinned(), 0);
}

#[test]
fn order_holds_where_slices_and_copies_meet() {
    let (mut mux, wire) = (client(), Wire::new());
    let message = wire.message();
    let mut at = 0;
    for (n, size) in
        [4000, 10, 3000, 2048, 5, 1, 9000, 2500].into_iter().cycle().take(60).enumerate()
    {
        // Now and then a gap, so that runs end.
        at += if n % 7 == 0 { 0 } else { 6 };
        let bytes = message.slice(at..at + size);
        at += size;
        mux.receive(Frame::Data { stream: 1, bytes }).unwrap();
        if n % 11 == 10 {
            read_and_compare(&mut mux);
        }
    }
    assert!(at < MAX_MESSAGE);
}

/// Within a slice and within copies of gapless ones, bytes ascend by one, or jump over a gap.
fn read_and_compare(mux: &mut Mux) {
    let mut last: Option<u8> = None;
    while let Read::Chunk(bytes) = read(mux, 1) {
        for &byte in &bytes {
            if let Some(last) = last {
                let step = byte.wrapping_sub(last);
                assert!(step == 1 || step == 7, "a step of {step}");
            }
            last = Some(byte);
        }
    }
}

#[test]
fn releasing_or_stopping_frees_the_memory() {
    let (mut mux, mut wire) = (client(), Wire::new());
    wire.feed(&mut mux, 100_000);
    assert!(wire.pinned() > 0);
    mux.release(1);
    assert_eq!(wire.pinned(), 0);
}

#[test]
fn waiting_datagrams_do_not_pin_messages() {
    let (mut mux, wire) = (Mux::new(config(Side::Client)), Wire::new());
    mux.receive(Frame::Open(flow(1))).unwrap();
    for _ in 0..100 {
        let bytes = wire.message().slice(0..1);
        mux.receive(Frame::Datagram { stream: 1, bytes }).unwrap();
    }
    assert_eq!(wire.pinned(), 0);
}
