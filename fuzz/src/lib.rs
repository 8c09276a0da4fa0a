//! What an application may do with a mux, as data that the fuzzer makes up; and a bound on memory.

mod memory;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyproxy_wire::codes::{CloseCode, OpenCode, StreamCode};
use anyproxy_wire::credit::GrowthPool;
use anyproxy_wire::frame::Frame;
use anyproxy_wire::message::{Goaway, Ingress, Open, OpenReply, Protocol, Target};
use anyproxy_wire::mux::{Event, Mux, MuxConfig, Read, Side, Written};
use libfuzzer_sys::arbitrary::{self, Arbitrary};

pub use self::memory::bounded;

/// Streams that a mux of these targets may hold.
pub const MAX_STREAMS: usize = 4;

/// The initial credit of both sides, in bytes.
pub const CREDIT: u64 = 100;

/// A stream of the gateway: few, so that operations meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub u64);

impl<'a> Arbitrary<'a> for Id {
    fn arbitrary(input: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(u64::from(input.int_in_range(0..=15_u8)?)))
    }
}

/// One call of the application.
#[derive(Debug, Arbitrary)]
pub enum Call {
    /// Opens a stream, or a flow if `flow`.
    Open {
        /// The stream.
        id: Id,
        /// Whether it carries datagrams.
        flow: bool,
    },
    /// Answers an open.
    Reply(Id, u8),
    /// Writes this many bytes.
    Write(Id, u8),
    /// Ends the sending direction cleanly.
    Finish(Id),
    /// Ends the sending direction early.
    Reset(Id, u8),
    /// Ends the receiving direction.
    Stop(Id, u8),
    /// Reads one chunk.
    Read(Id),
    /// Gives the stream up.
    Release(Id),
    /// Sends a datagram of this many bytes.
    Datagram(Id, u8),
    /// Sends a Ping.
    Ping,
    /// Says Goaway.
    Goaway,
    /// Lets this much time pass, in milliseconds.
    Wait(u16),
}

/// A mux and what its application has seen: bytes are numbered per stream, so that a lost, doubled
/// or moved one shows.
pub struct App {
    /// The mux under test.
    pub mux: Mux,
    now: Instant,
    written: BTreeMap<u64, u64>,
    read: BTreeMap<u64, u64>,
    checks_bytes: bool,
}

impl App {
    /// An application of an honest peer, whose bytes are checked.
    pub fn new(side: Side) -> Self {
        let config = MuxConfig {
            side,
            send_credit: CREDIT,
            recv_credit: CREDIT,
            recv_ceiling: 1_000,
            max_streams: MAX_STREAMS,
            send_buffer: 150,
            data_frame: 40,
            pool: GrowthPool::new(1_000),
        };
        let (written, read) = (BTreeMap::new(), BTreeMap::new());
        Self { mux: Mux::new(config), now: Instant::now(), written, read, checks_bytes: true }
    }

    /// An application of a peer that may send any bytes.
    pub fn of_hostile_peer(side: Side) -> Self {
        Self { checks_bytes: false, ..Self::new(side) }
    }

    /// Makes the call, and takes all events.
    pub fn call(&mut self, call: &Call) {
        match *call {
            Call::Open { id, flow } => drop(self.mux.open(open(id, flow))),
            Call::Reply(id, code) => drop(self.mux.reply(reply(id, code))),
            Call::Write(id, length) => self.write(id, length),
            Call::Finish(id) => self.mux.finish(id.0),
            Call::Reset(id, code) => self.mux.reset(id.0, StreamCode::from_u64(code.into())),
            Call::Stop(id, code) => self.mux.stop(id.0, StreamCode::from_u64(code.into())),
            Call::Read(id) => self.read(id),
            Call::Release(id) => self.mux.release(id.0),
            Call::Datagram(id, length) => {
                self.mux.datagram(id.0, &vec![0; length.into()]);
            }
            Call::Ping => self.mux.ping([0; 8]),
            Call::Goaway => {
                self.mux.control(goaway());
            }
            Call::Wait(millis) => self.now += Duration::from_millis(millis.into()),
        }
        self.poll();
    }

    /// Takes all events.
    pub fn poll(&mut self) {
        while let Some(event) = self.mux.poll_event() {
            if let Event::Closed(id) = event {
                assert_eq!(self.mux.outstanding(id), 0);
            }
        }
        assert!(self.mux.stream_count() <= MAX_STREAMS);
    }

    fn write(&mut self, id: Id, length: u8) {
        let offset = self.written.entry(id.0).or_default();
        let bytes = (0..u64::from(length)).map(|i| number(*offset + i)).collect::<Vec<_>>();
        if let Written::Some(count) = self.mux.write(id.0, &bytes) {
            assert!(count <= bytes.len() && (count > 0 || bytes.is_empty()));
            *offset += count as u64;
        }
    }

    fn read(&mut self, id: Id) {
        if let Read::Chunk(bytes) = self.mux.read(id.0, self.now, Duration::from_millis(50)) {
            assert!(!bytes.is_empty());
            let offset = self.read.entry(id.0).or_default();
            for byte in bytes {
                assert!(!self.checks_bytes || byte == number(*offset));
                *offset += 1;
            }
        }
    }
}

/// The byte at this offset of any stream.
fn number(offset: u64) -> u8 {
    (offset % 251) as u8
}

/// An open of the gateway.
pub fn open(id: Id, flow: bool) -> Open {
    Open {
        stream: id.0,
        ingress: Ingress::Forward,
        target: Target::Forward(1),
        source: None,
        destination: None,
        user: String::new(),
        protocol: if flow { Protocol::Udp } else { Protocol::Tcp },
    }
}

/// An answer of the client.
pub fn reply(id: Id, code: u8) -> OpenReply {
    let code = OpenCode::from_u64(code.into());
    OpenReply { stream: id.0, code, detail: String::new(), address: None }
}

/// A farewell.
pub fn goaway() -> Frame {
    Frame::Goaway(Goaway {
        code: CloseCode::Shutdown,
        reconnect_after: Duration::ZERO,
        drain: Duration::ZERO,
        reason: String::new(),
    })
}
