//! The two threads of one way: one takes frames and decides what becomes of each, the other sends those that
//! are due. They share a bounded queue in order of time, since the delay is the same for all.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::shape::{Fate, Pipe, Shape};

/// Ethernet's header and a packet of 1,500 bytes.
const LONGEST_FRAME: usize = 14 + 1500;
/// 100 Mbit/s over a second's delay are 8,300 frames of full length.
const UNDERWAY: usize = 65_536;
const LATE: Duration = Duration::from_millis(2);

pub struct Way(Arc<Counts>);

impl Way {
    pub fn start(from: File, to: File, shape: Shape, number: u64) -> std::io::Result<Self> {
        let counts = Arc::new(Counts::default());
        let start = Instant::now();
        let (underway, due) = sync_channel(UNDERWAY);
        let entry = Entry { from, underway, start, counts: Arc::clone(&counts) };
        let exit = Exit { to, due, start, counts: Arc::clone(&counts) };
        std::thread::Builder::new().spawn(move || entry.run(Pipe::new(shape, number)))?;
        std::thread::Builder::new().spawn(move || exit.run())?;
        Ok(Self(counts))
    }

    pub fn json(&self) -> String {
        self.0.json()
    }
}

struct Frame {
    due: Duration,
    bytes: Vec<u8>,
}

struct Entry {
    from: File,
    underway: SyncSender<Frame>,
    start: Instant,
    counts: Arc<Counts>,
}

impl Entry {
    fn run(mut self, mut pipe: Pipe) {
        let mut buffer = vec![0; 65_536];
        loop {
            // An interface that goes down for a moment is an error once; the next frame comes all the same.
            let Ok(length) = self.from.read(&mut buffer) else {
                std::thread::sleep(LATE);
                continue;
            };
            Counts::add(&self.counts.entered, 1);
            Counts::add(&self.counts.bytes, length as u64);
            if length > LONGEST_FRAME {
                Counts::add(&self.counts.oversized, 1);
            }
            match pipe.take(self.start.elapsed(), length) {
                Fate::Lost => Counts::add(&self.counts.lost, 1),
                Fate::Overflowed => Counts::add(&self.counts.overflowed, 1),
                Fate::Due(due) => {
                    let frame = Frame { due, bytes: buffer[..length].to_vec() };
                    if self.underway.send(frame).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

struct Exit {
    to: File,
    due: Receiver<Frame>,
    start: Instant,
    counts: Arc<Counts>,
}

impl Exit {
    fn run(mut self) {
        while let Ok(frame) = self.due.recv() {
            let early = frame.due.saturating_sub(self.start.elapsed());
            if !early.is_zero() {
                std::thread::sleep(early);
            }
            if self.start.elapsed().saturating_sub(frame.due) > LATE {
                Counts::add(&self.counts.late, 1);
            }
            if self.to.write_all(&frame.bytes).is_err() {
                Counts::add(&self.counts.refused, 1);
            }
        }
    }
}
