#![no_main]
//! A SOCKS5 handshake gives the same messages in whatever chunks it comes, and takes no byte of what
//! follows.

use anyproxy_fuzz::bounded;
use anyproxy_gateway::ingress::socks5::handshake::{Command, Handshake, Message, Violation};
use bytes::BytesMut;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

/// The longest message: a log-in with two full fields.
const LONGEST: usize = 513;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    start: Start,
    size: u8,
    bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Start {
    Greeting,
    Login,
    Request,
}

type Outcome = (Vec<Message>, Result<usize, Violation>);

fuzz_target!(|input: Input<'_>| {
    bounded(input.bytes.len(), || {
        let whole = read(input.bytes, usize::MAX, input.start);
        assert_eq!(read(input.bytes, usize::from(input.size) + 1, input.start), whole);
    });
});

/// The messages, and how many bytes are left.
fn read(bytes: &[u8], size: usize, start: Start) -> Outcome {
    let mut state = match start {
        Start::Greeting => Handshake::Greeting,
        Start::Login => Handshake::Login,
        Start::Request => Handshake::Request,
    };
    let (mut ahead, mut messages, mut rest) = (BytesMut::new(), Vec::new(), bytes);
    while state != Handshake::Done {
        let had = ahead.len();
        match state.next(&mut ahead) {
            Ok(Some(message)) => {
                // An address of unknown type has no end that could be found.
                let endless = matches!(message, Message::Request(Command::UnknownAddress(_)));
                assert!(endless || ahead.len() < had, "a message has bytes");
                assert!(had - ahead.len() <= LONGEST);
                messages.push(message);
            }
            Ok(None) => {
                assert_eq!(ahead.len(), had, "what is not whole stays");
                assert!(had < LONGEST);
                if rest.is_empty() {
                    break;
                }
                let (chunk, later) = rest.split_at(size.min(rest.len()));
                ahead.extend_from_slice(chunk);
                rest = later;
            }
            Err(violation) => return (messages, Err(violation)),
        }
    }
    (messages, Ok(ahead.len() + rest.len()))
}
