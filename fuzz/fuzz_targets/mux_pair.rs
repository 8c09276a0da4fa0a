#![no_main]
//! Two honest muxes: whatever their applications do, neither breaks the protocol, and the bytes
//! of each stream arrive in order.

use anyproxy_fuzz::{App, Call};
use anyproxy_wire::frame::{self, Stage};
use anyproxy_wire::mux::Side;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Step {
    Gateway(Call),
    Client(Call),
    /// A message of about this many bytes leaves the gateway.
    Down(u8),
    /// A message of about this many bytes leaves the client.
    Up(u8),
    /// The oldest message arrives at the client.
    ArriveDown,
    /// The oldest message arrives at the gateway.
    ArriveUp,
}

fuzz_target!(|steps: Vec<Step>| {
    let (mut gateway, mut client) = (App::new(Side::Gateway), App::new(Side::Client));
    let (mut down, mut up) = (Vec::new(), Vec::new());
    for step in &steps {
        match step {
            Step::Gateway(call) => gateway.call(call),
            Step::Client(call) => client.call(call),
            Step::Down(budget) => down.insert(0, transmit(&mut gateway, (*budget).into())),
            Step::Up(budget) => up.insert(0, transmit(&mut client, (*budget).into())),
            Step::ArriveDown => receive(&mut client, down.pop()),
            Step::ArriveUp => receive(&mut gateway, up.pop()),
        }
    }
    // In the end all that waits goes through, and then nothing waits.
    for _ in 0..100 {
        down.insert(0, transmit(&mut gateway, 10_000));
        up.insert(0, transmit(&mut client, 10_000));
        while !down.is_empty() || !up.is_empty() {
            receive(&mut client, down.pop());
            receive(&mut gateway, up.pop());
        }
    }
    assert!(!gateway.mux.wants_transmit() && !client.mux.wants_transmit());
});

fn transmit(app: &mut App, budget: usize) -> Bytes {
    let mut out = BytesMut::new();
    app.mux.transmit(&mut out, budget);
    app.poll();
    out.freeze()
}

fn receive(app: &mut App, message: Option<Bytes>) {
    let mut message = message.unwrap_or_default();
    while let Some(frame) =
        frame::decode_message(&mut message, Stage::Established).expect("legal bytes")
    {
        app.mux.receive(frame).expect("the peer is honest");
        app.poll();
    }
}
