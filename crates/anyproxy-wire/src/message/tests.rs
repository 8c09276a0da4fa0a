//! Rules of fields that golden bytes do not show.

use std::fmt::Debug;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use bytes::BytesMut;

use super::*;
use crate::WireError;
use crate::codes::{CloseCode, ForwardCode, OpenCode};

fn refuse(reason: &str) -> Refuse {
    Refuse { code: CloseCode::Unauthorised, reason: reason.into(), retry_after: Duration::ZERO }
}

fn through_the_wire(refuse: &Refuse) -> Refuse {
    let mut out = BytesMut::new();
    refuse.encode(&mut out);
    Refuse::decode(&out).unwrap()
}

fn invalid<T: Debug>(result: Result<T, WireError>, expected: &'static str) {
    match result {
        Err(WireError::Invalid { field, .. }) => assert_eq!(field, expected),
        other => panic!("{other:?}, not an invalid {expected}"),
    }
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let sent = refuse(&format!("x{}", "é".repeat(200)));
    assert_eq!(through_the_wire(&sent).reason, format!("x{}", "é".repeat(127)));
    let exact = refuse(&"x".repeat(MAX_REASON));
    assert_eq!(through_the_wire(&exact), exact);
}

#[test]
fn control_characters_are_replaced_when_sent() {
    let sent = refuse("a\r\n\t\0\u{1b}\u{7f}\u{85}\u{9b}z");
    assert_eq!(through_the_wire(&sent).reason, format!("a{}z", "\u{fffd}".repeat(8)));
}

#[test]
fn a_replaced_character_is_counted_at_its_new_size() {
    let reason = through_the_wire(&refuse(&"\n".repeat(MAX_REASON))).reason;
    assert_eq!(reason, "\u{fffd}".repeat(MAX_REASON / 3));
}

#[test]
fn too_many_choices_are_cut_when_sent() {
    let mut out = BytesMut::new();
    fields::Writer(&mut out).numbers(fields::Field(1, "n"), &[64; 9], 8);
    assert_eq!(out[..2], [1, 16]);
    assert_eq!(out.len(), 18);
}

#[test]
fn nine_versions_are_refused() {
    let nine = [1, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    invalid(Hello::decode(&nine), "versions");
    let cut = [1, 1, 0x40];
    invalid(Hello::decode(&cut), "versions");
}

#[test]
fn an_intent_needs_its_field() {
    let mut base = BytesMut::new();
    let hello = Hello {
        versions: vec![1],
        features: 0,
        methods: vec![1],
        nonce: [0; 32],
        principal: "p".into(),
        client_id: "c".into(),
        instance: [0; 16],
        replica: 0,
        intent: Intent::New,
        initial_credit: DEFAULT_CREDIT,
        software: String::new(),
    };
    hello.encode(&mut base);
    for (intent, field) in [(1, "session"), (2, "generation"), (3, "main")] {
        let payload = [&base[..], &[9, 1, intent]].concat();
        assert_eq!(Hello::decode(&payload), Err(WireError::Missing { message: "Hello", field }));
    }
    invalid(Hello::decode(&[&base[..], &[9, 1, 4]].concat()), "intent");
    let ignored = [&base[..], &[11, 1, 5]].concat();
    assert_eq!(Hello::decode(&ignored), Ok(hello));
    invalid(Hello::decode(&[&base[..], &[10, 1, 5]].concat()), "session");
}

#[test]
fn empty_names_are_refused() {
    invalid(ForwardRequest::decode(&[1, 1, 7, 3, 0]), "listen");
    invalid(Open::decode(&[1, 1, 1, 2, 1, 1, 3, 0]), "target");
}

#[test]
fn a_zero_ping_interval_is_neither_sent_nor_taken() {
    let welcome = Welcome {
        session: [0; 16],
        tunnel: 0,
        proof: None,
        generation: 0,
        initial_credit: 0,
        max_streams: 0,
        ping_interval: Duration::ZERO,
        dead_after: Duration::ZERO,
        join_key: [0; 32],
        software: String::new(),
    };
    let mut out = BytesMut::new();
    welcome.encode(&mut out);
    let received = Welcome::decode(&out).unwrap();
    assert_eq!(received.ping_interval, Duration::from_millis(1));
    assert_eq!(received.dead_after, Duration::from_millis(1));
    invalid(
        Welcome::decode(&[&[1, 16][..], &[0; 16], &[2, 1, 0, 4, 1, 0, 7, 1, 0]].concat()),
        "ping interval",
    );
}

#[test]
fn the_longest_times_do_not_overflow() {
    let sent = Refuse { retry_after: Duration::MAX, ..refuse("") };
    assert_eq!(through_the_wire(&sent).retry_after, Duration::from_millis(crate::varint::MAX));
}

#[test]
fn scope_ids_stay_on_their_host() {
    let address = SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 5, 3));
    let reply = OpenReply {
        stream: 1,
        code: OpenCode::Connected,
        detail: String::new(),
        address: Some(address),
    };
    let mut out = BytesMut::new();
    reply.encode(&mut out);
    let expected = "[::1]:80".parse().unwrap();
    assert_eq!(OpenReply::decode(&out).unwrap().address, Some(expected));
    let scoped = [&[1, 1, 1, 2, 1, 1, 4, 10][..], b"[::1%3]:80"].concat();
    assert_eq!(OpenReply::decode(&scoped).unwrap().address, Some(expected));
}

#[test]
fn names_are_not_addresses() {
    let named = [&[1, 1, 1, 2, 1, 1, 4, 12][..], b"localhost:80"].concat();
    invalid(OpenReply::decode(&named), "address");
}

#[test]
fn unknown_codes_are_failures_of_unknown_cause() {
    assert_eq!(OpenReply::decode(&[1, 1, 1, 2, 1, 40]).unwrap().code, OpenCode::Internal);
    assert_eq!(ForwardReply::decode(&[1, 1, 1, 2, 1, 40]).unwrap().code, ForwardCode::System);
    assert_eq!(Refuse::decode(&[1, 1, 40]).unwrap().code, CloseCode::Internal);
}

#[test]
fn unknown_tags_may_not_repeat_either() {
    let twice = [1, 1, 7, 50, 0, 50, 0];
    let expected = WireError::Duplicate { message: "ForwardRelease", tag: 50 };
    assert_eq!(ForwardRelease::decode(&twice), Err(expected));
}

#[test]
fn a_field_may_not_claim_more_than_there_is() {
    let mut payload = BytesMut::from(&[1, 1, 7, 50][..]);
    crate::varint::put(&mut payload, crate::varint::MAX);
    assert_eq!(ForwardRelease::decode(&payload), Err(WireError::Truncated("ForwardRelease")));
}

#[test]
fn a_long_proof_is_cut_when_sent_and_refused_when_received() {
    let auth = Auth { proof: SecretBytes::new([7; 2_000]), join_proof: None };
    let mut out = BytesMut::new();
    auth.encode(&mut out);
    assert_eq!(Auth::decode(&out).unwrap().proof.expose(), [7; Auth::MAX_PROOF]);
    let long = [&[1, 0x44, 0x01][..], &[7; 1_025]].concat();
    invalid(Auth::decode(&long), "proof");
}

#[test]
fn secrets_do_not_appear_in_debug_output() {
    let auth = Auth { proof: SecretBytes::new(*b"password"), join_proof: None };
    assert!(!format!("{auth:?}").contains("112, 97"), "{auth:?}");
    let payload = [&[1, 16][..], &[0; 16], &[2, 1, 0, 4, 1, 0, 9, 32], &[0xab; 32]].concat();
    let welcome = format!("{:?}", Welcome::decode(&payload).unwrap());
    assert!(!welcome.contains("171") && welcome.contains("generation"), "{welcome}");
}
