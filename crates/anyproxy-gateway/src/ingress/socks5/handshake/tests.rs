use std::net::Ipv6Addr;

use super::*;

const ALL: &[u8] =
    b"\x05\x02\x00\x02\x01\x03ann\x06s:cret\x05\x01\x00\x03\x0bexample.com\x01\xbbearly";

fn request_of(bytes: &[u8]) -> Command {
    let mut input = BytesMut::from(bytes);
    match Handshake::Request.next(&mut input).unwrap().unwrap() {
        Message::Request(command) => {
            assert!(matches!(command, Command::UnknownAddress(_)) || input.is_empty());
            command
        }
        other @ (Message::Greeting(_) | Message::Login(_)) => panic!("{other:?}"),
    }
}

fn target(text: &str) -> Command {
    Command::Connect(TargetAddr::parse(text, None))
}

fn check_all(messages: &[Message], rest: &[u8]) {
    let [Message::Greeting(Methods::WithPassword), Message::Login(login), Message::Request(asked)] =
        messages
    else {
        panic!("{messages:?}")
    };
    assert_eq!(login.name, "ann");
    assert_eq!(login.password.as_slice(), b"s:cret");
    assert_eq!(*asked, target("example.com:443"));
    assert_eq!(rest, b"early");
}

#[test]
fn messages_are_found_however_the_bytes_are_cut() {
    for piece in 1..=ALL.len() {
        let (mut handshake, mut input) = (Handshake::default(), BytesMut::new());
        let mut messages = Vec::new();
        for bytes in ALL.chunks(piece) {
            input.extend_from_slice(bytes);
            while handshake != Handshake::Done
                && let Some(message) = handshake.next(&mut input).unwrap()
            {
                messages.push(message);
            }
        }
        check_all(&messages, &input);
    }
}

#[test]
fn every_address_type_is_read() {
    assert_eq!(request_of(b"\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x16"), target("10.0.0.1:22"));
    let mut v6 = b"\x05\x01\x00\x04".to_vec();
    v6.extend_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
    v6.extend_from_slice(b"\x00\x50");
    assert_eq!(request_of(&v6), target("[2001:db8::1]:80"));
    // Some users send a literal as a name.
    assert_eq!(request_of(b"\x05\x01\x00\x03\x03::1\x00\x50"), target("[::1]:80"));
    assert_eq!(request_of(b"\x05\x01\x00\x09"), Command::UnknownAddress(9));
    assert_eq!(request_of(b"\x05\x01\x00\x03\x0a0123456789\x00\x50"), target("0123456789:80"));
}

#[test]
fn unusable_targets_and_commands_are_told_apart() {
    let bad = |bytes: &[u8]| match request_of(bytes) {
        Command::Connect(Err(bad)) => bad,
        other @ (Command::Connect(Ok(_))
        | Command::Associate(_)
        | Command::Unsupported(_)
        | Command::UnknownAddress(_)) => {
            panic!("{other:?}")
        }
    };
    assert_eq!(bad(b"\x05\x01\x00\x03\x00\x00\x50"), BadTarget::NoHost);
    assert_eq!(bad(b"\x05\x01\x00\x03\x01a\x00\x00"), BadTarget::Port);
    assert_eq!(bad(b"\x05\x01\x00\x03\x02\xff\xfe\x00\x50"), BadTarget::Character);
    assert_eq!(bad(b"\x05\x01\x00\x03\x03a b\x00\x50"), BadTarget::Character);
    for command in [2, 0, 255] {
        let bytes = [5, command, 0, 1, 0, 0, 0, 0, 0, 80];
        assert_eq!(request_of(&bytes), Command::Unsupported(command));
    }
    // The address of an association does not matter, and port 0 is none.
    assert_eq!(request_of(b"\x05\x03\x00\x03\x00\x13\x88"), Command::Associate(5000));
    assert_eq!(request_of(b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"), Command::Associate(0));
}

#[test]
fn foreign_bytes_are_violations_at_the_first_byte() {
    let next = |mut stage: Handshake, bytes: &[u8]| stage.next(&mut BytesMut::from(bytes));
    assert_eq!(next(Handshake::Greeting, b"\x04"), Err(Violation::Socks4));
    assert_eq!(next(Handshake::Greeting, b"GET / HTTP/1.1"), Err(Violation::Version(b'G')));
    assert_eq!(next(Handshake::Login, b"\x05"), Err(Violation::LoginVersion(5)));
    assert_eq!(next(Handshake::Request, b"\x01"), Err(Violation::Version(1)));
    assert_eq!(next(Handshake::Done, b"\x05"), Err(Violation::Order));
}

#[test]
fn a_greeting_without_passwords_is_told() {
    for bytes in [&b"\x05\x01\x00"[..], b"\x05\x00", b"\x05\x02\x00\x01"] {
        let message = Handshake::Greeting.next(&mut BytesMut::from(bytes));
        assert_eq!(message, Ok(Some(Message::Greeting(Methods::Other))), "{bytes:?}");
    }
}

#[test]
fn the_longest_messages_fit() {
    let long = [255u8; 255];
    let mut login = vec![1, 255];
    login.extend_from_slice(&long);
    login.push(255);
    login.extend_from_slice(&long);
    assert_eq!(login.len(), 513);
    let mut input = BytesMut::from(&login[..]);
    assert!(matches!(Handshake::Login.next(&mut input), Ok(Some(Message::Login(_)))));
    assert!(input.is_empty());
}

#[test]
fn a_log_in_is_not_printed() {
    let login = Login { name: "ann".into(), password: Zeroizing::new(b"s:cret".to_vec()) };
    assert_eq!(format!("{login:?}"), "Login { .. }");
}
