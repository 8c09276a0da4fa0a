#![no_main]
//! A mux with a hostile peer: any frames, in any order, between any calls of the application.

use anyproxy_fuzz::{App, Call, Id, goaway, open, reply};
use anyproxy_wire::codes::StreamCode;
use anyproxy_wire::frame::{self, Frame, Stage};
use anyproxy_wire::mux::Side;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input {
    is_gateway: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    Call(Call),
    Transmit(u8),
    Open(Id, bool),
    Reply(Id, u8),
    Data(Id, u8),
    Fin(Id, u8),
    FinAck(Id),
    Reset(Id, u8),
    Stop(Id, u8),
    Credit(Vec<(Id, u16)>),
    LongCredit(Id, u64),
    Datagram(Id, u8),
    Ping,
    Pong,
    Goaway,
    Strain,
}

fuzz_target!(|input: Input| {
    let side = if input.is_gateway { Side::Gateway } else { Side::Client };
    let mut app = App::of_hostile_peer(side);
    for step in &input.steps {
        match step {
            Step::Call(call) => app.call(call),
            Step::Transmit(budget) => transmit(&mut app, usize::from(*budget)),
            received => {
                if app.mux.receive(received.frame()).is_err() {
                    break;
                }
            }
        }
        app.poll();
    }
    // Also after an error: the application may still drain what it has.
    transmit(&mut app, usize::MAX);
    (0..16).for_each(|id| app.call(&Call::Read(Id(id))));
    (0..16).for_each(|id| app.call(&Call::Release(Id(id))));
    transmit(&mut app, usize::MAX);
});

/// All that is sent is whole frames.
fn transmit(app: &mut App, budget: usize) {
    let mut out = BytesMut::new();
    assert_eq!(app.mux.transmit(&mut out, budget), out.len());
    assert!(out.len() <= budget.saturating_add(1_000) && (budget > 0 || out.is_empty()));
    app.poll();
    while frame::decode(&mut out, Stage::Established).expect("legal frames").is_some() {}
    assert!(out.is_empty());
}

impl Step {
    fn frame(&self) -> Frame {
        let code = |code: u8| StreamCode::from_u64(code.into());
        let bytes = |length: u8| Bytes::from(vec![0; length.into()]);
        match self {
            Self::Open(id, flow) => Frame::Open(open(*id, *flow)),
            Self::Reply(id, code) => Frame::OpenReply(reply(*id, *code)),
            Self::Data(id, length) => Frame::Data { stream: id.0, bytes: bytes(*length) },
            Self::Fin(id, offset) => Frame::Fin { stream: id.0, offset: (*offset).into() },
            Self::FinAck(id) => Frame::FinAck { stream: id.0 },
            Self::Reset(id, number) => Frame::Reset { stream: id.0, code: code(*number) },
            Self::Stop(id, number) => Frame::Stop { stream: id.0, code: code(*number) },
            Self::Credit(pairs) => {
                Frame::Credit(pairs.iter().map(|(id, offset)| (id.0, (*offset).into())).collect())
            }
            Self::LongCredit(id, offset) => Frame::Credit(vec![(id.0, *offset)]),
            Self::Datagram(id, length) => Frame::Datagram { stream: id.0, bytes: bytes(*length) },
            Self::Ping => Frame::Ping([0; 8]),
            Self::Pong => Frame::Pong([0; 8]),
            Self::Strain => Frame::Strain,
            Self::Goaway | Self::Call(_) | Self::Transmit(_) => goaway(),
        }
    }
}
