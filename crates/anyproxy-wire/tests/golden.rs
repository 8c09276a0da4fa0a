//! The specification and the code say the same: the tables of `docs/protocol.md` are read here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure is the test's result")]

mod golden {
    pub(crate) mod frames;
    pub(crate) mod table;
}

use std::collections::BTreeMap;

use anyproxy_wire::codes::{CloseCode, OpenCode, StreamCode};
use anyproxy_wire::frame::{self, Frame, Stage};
use anyproxy_wire::handshake::{self, ProofCheck, Secret, Transcript, Verifier};
use anyproxy_wire::{WireError, datagram, join_token::JoinToken};
use bytes::{Bytes, BytesMut};
use golden::frames::{frames, stage, value};
use golden::table::{hex, rows};

/// Name and bytes of the rows of a table whose last cell is hexadecimal.
fn golden(heading: &str) -> BTreeMap<String, Vec<u8>> {
    rows(heading).into_iter().map(|cells| (cells[0].clone(), hex(cells.last().unwrap()))).collect()
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame.encode(&mut out);
    out.to_vec()
}

fn decode_all(bytes: &[u8], stage: Stage) -> Result<Vec<Frame>, WireError> {
    let (mut message, mut frames) = (Bytes::copy_from_slice(bytes), Vec::new());
    while let Some(frame) = frame::decode_message(&mut message, stage)? {
        frames.push(frame);
    }
    Ok(frames)
}

#[test]
fn the_encoder_writes_the_golden_bytes() {
    let ours = frames().into_iter().map(|(name, frame)| (name.to_owned(), encoded(&frame)));
    assert_eq!(ours.collect::<BTreeMap<_, _>>(), golden("### Frames"));
}

#[test]
fn the_decoder_reads_the_golden_bytes() {
    let golden = golden("### Frames");
    for (name, frame) in frames() {
        assert_eq!(decode_all(&golden[name], stage(&frame)), Ok(vec![frame]), "{name}");
    }
}

#[test]
fn every_type_of_frame_is_golden() {
    let known = rows("## 2. Frames").into_iter().filter(|cells| cells[0].starts_with("`0x"));
    let mut described = known
        .map(|cells| (hex(cells[0].trim_matches('`').trim_start_matches("0x")), cells[1].clone()))
        .map(|(kind, name)| (u64::from(kind[0]), name))
        .collect::<BTreeMap<_, _>>();
    for (_, frame) in frames() {
        if let Some(name) = described.remove(&head(&encoded(&frame)).0) {
            assert_eq!(name, frame.name());
        }
    }
    assert_eq!(described, BTreeMap::new());
}

#[test]
fn every_truncation_of_the_golden_bytes_asks_for_more() {
    for (name, frame) in frames() {
        let whole = encoded(&frame);
        for end in 0..whole.len() {
            let mut input = BytesMut::from(&whole[..end]);
            assert_eq!(frame::decode(&mut input, stage(&frame)), Ok(None), "{name} at {end}");
        }
    }
}

/// The type, and the size of type and length.
fn head(whole: &[u8]) -> (u64, usize) {
    let mut rest = whole;
    let kind = anyproxy_wire::varint::get(&mut rest).unwrap();
    anyproxy_wire::varint::get(&mut rest).unwrap();
    (kind, whole.len() - rest.len())
}

#[test]
fn every_truncation_of_a_golden_payload_is_judged_without_panic() {
    for (name, frame) in frames() {
        let whole = encoded(&frame);
        let (kind, header) = head(&whole);
        for end in header..whole.len() {
            let payload = &whole[header..end];
            let mut out = BytesMut::new();
            anyproxy_wire::varint::put(&mut out, kind);
            anyproxy_wire::varint::put(&mut out, payload.len() as u64);
            out.extend_from_slice(payload);
            if let Ok(Some(shorter)) = frame::decode(&mut out, stage(&frame)) {
                assert_ne!(shorter, frame, "{name} at {end}");
            }
        }
    }
}

#[test]
fn the_golden_handshake_is_computed_from_its_frames() {
    let (frames, constants) = (golden("### Frames"), golden("## 13. Golden bytes"));
    let values = golden("### The handshake");
    let secret = Secret::new(constants["shared secret"].clone());
    let verifier = Verifier::from_secret(&secret);
    let exporter: [u8; 32] = constants["TLS exporter"][..].try_into().unwrap();
    let cases = [("plain", "Challenge", None), ("bound", "Challenge, bound", Some(&exporter))];
    for (case, challenge, exporter) in cases {
        let transcript = Transcript::new(&frames["Hello"], &frames[challenge], exporter);
        let proof = handshake::client_proof(&secret, &transcript);
        assert_eq!(proof[..], values[&format!("proof, {case}")]);
        let check = handshake::check_client_proof(&verifier, &transcript, &proof);
        assert_eq!(check, ProofCheck::Right);
        let proof = handshake::gateway_proof(&verifier, &transcript);
        assert_eq!(proof[..], values[&format!("Welcome.proof, {case}")]);
        let check = handshake::check_gateway_proof(&secret, &transcript, &proof);
        assert_eq!(check, ProofCheck::Right);
    }
    let transcript = Transcript::new(&frames["Hello, join"], &frames["Challenge"], None);
    assert!(
        frames["Auth, join"]
            .windows(32)
            .any(|part| part == handshake::client_proof(&secret, &transcript))
    );
    let keys = [&values["StoredKey"], &values["GatewayKey"]].map(|key| golden::table::to_hex(key));
    assert_eq!(verifier.to_text(), format!("anyproxy1:{}:{}", keys[0], keys[1]));
    let array = |name: &str| -> [u8; 32] { constants[name][..].try_into().unwrap() };
    let session = constants["session"][..].try_into().unwrap();
    let nonces = (array("client's nonce"), array("gateway's nonce"));
    let proof = handshake::join_proof(&array("join key"), &session, &nonces.0, &nonces.1);
    assert_eq!(proof[..], values["join proof"]);
}

/// The signatures are checked by the crate that can: `golden_keys` of the transport.
#[test]
fn the_golden_enrolment_is_computed_from_its_frames() {
    let (frames, values) = (golden("### Frames"), "### Keys and tokens");
    let constants = "## 13. Golden bytes";
    let exporter = value(constants, "TLS exporter");
    let said = |case: &str| {
        let (hello, challenge) =
            (&frames[&format!("Hello, {case}")], &frames[&format!("Challenge, {case}")]);
        Transcript::new(hello, challenge, Some(&exporter))
    };
    let text = b"anyproxy/1 key".to_vec();
    let signed = |transcript: [u8; 32]| [text.clone(), transcript.to_vec()].concat();
    let key = said("key");
    assert_eq!(handshake::to_be_signed(&key)[..], signed(value(values, "transcript, key")));
    let token = said("token");
    assert_eq!(handshake::to_be_signed(&token)[..], signed(value(values, "transcript, token")));
    let (id, public) = (value(constants, "token id"), value(constants, "its public key"));
    let enrolment = handshake::enrolment(&token, &id, &public);
    assert_eq!(handshake::to_be_signed(&enrolment)[..], signed(value(values, "enrolment")));
    let secret = Secret::new(value::<16>(constants, "token secret"));
    assert_eq!(handshake::client_proof(&secret, &enrolment), value(values, "proof, token"));
    let proof = handshake::gateway_proof(&Verifier::from_secret(&secret), &enrolment);
    assert_eq!(proof, value(values, "Welcome.proof, token"));
    let certificate = said("certificate");
    let transcript = signed(value(values, "transcript, certificate"));
    assert_eq!(handshake::to_be_signed(&certificate)[..], transcript);
    let proof = handshake::certificate_proof(&certificate);
    assert_eq!(proof, value(values, "proof, certificate"));
}

#[test]
fn the_golden_join_tokens_are_as_written() {
    let (constants, golden) = ("## 13. Golden bytes", golden("### Keys and tokens"));
    for (name, pin) in [("join token", Some(value(constants, "pin"))), ("join token, no pin", None)]
    {
        let token = JoinToken {
            id: value(constants, "token id"),
            secret: Secret::new(value::<16>(constants, "token secret")),
            pin,
            group: "home".into(),
            address: "gw.example.com:8443".into(),
        };
        assert_eq!(token.to_bytes().expose(), golden[name]);
        assert_eq!(JoinToken::from_bytes(&golden[name]), Ok(token));
    }
}

#[test]
fn datagrams_outside_of_frames_are_as_written() {
    let golden = golden("### Datagrams outside of frames");
    for (suffix, payload) in [("", &b"hello"[..]), (", empty", b"")] {
        let mut out = BytesMut::new();
        datagram::encode(3, payload, &mut out);
        assert_eq!(out, golden[&format!("QUIC DATAGRAM{suffix}")]);
        assert_eq!(datagram::decode(out.freeze()), Ok((3, Bytes::from_static(payload))));
        let mut out = BytesMut::new();
        datagram::put_framed(&mut out, payload);
        assert_eq!(out, golden[&format!("flow's stream{suffix}")]);
        assert_eq!(datagram::get_framed(&mut out), Ok(Some(Bytes::from_static(payload))));
    }
    assert_eq!(golden.len(), 4);
}

#[test]
fn unusual_bytes_are_accepted() {
    let frames = frames().into_iter().collect::<BTreeMap<_, _>>();
    let rows = rows("### What a receiver accepts");
    assert!(rows.len() >= 6);
    for cells in rows {
        let expected = &frames[&*cells[1]];
        let decoded = decode_all(&hex(&cells[2]), stage(expected));
        assert_eq!(decoded, Ok(vec![expected.clone()]), "{}", cells[0]);
    }
}

#[test]
fn illegal_bytes_are_refused_with_the_code_written() {
    let rows = rows("### What a receiver refuses");
    assert!(rows.len() >= 18);
    for cells in rows {
        let mut input = BytesMut::from(&hex(&cells[2])[..]);
        let error = frame::decode(&mut input, Stage::Established).unwrap_err();
        assert_eq!(error.close_code().as_u64().to_string(), cells[1], "{}: {error}", cells[0]);
    }
}

#[test]
fn the_codes_are_those_written() {
    let rows = rows("## 11. Codes").into_iter().filter(|cells| cells.len() == 6);
    let columns = rows.fold([const { Vec::new() }; 3], |mut columns, cells| {
        for (column, pair) in columns.iter_mut().zip(cells.chunks(2)) {
            if let Ok(number) = pair[0].parse::<u64>() {
                column.push((number, pair[1].clone()));
            }
        }
        columns
    });
    let close = CloseCode::ALL.iter().map(|code| (code.as_u64(), code.to_string()));
    let stream = StreamCode::ALL.iter().map(|code| (code.as_u64(), code.to_string()));
    let open = OpenCode::ALL.iter().map(|code| (code.as_u64(), code.to_string()));
    assert_eq!(columns, [close.collect::<Vec<_>>(), stream.collect(), open.collect()]);
    for code in 0..20 {
        let known = |found, count| if code < count { found == code } else { found != code };
        assert!(known(CloseCode::from_u64(code).as_u64(), 13));
        assert!(known(StreamCode::from_u64(code).as_u64(), 11));
        assert!(known(OpenCode::from_u64(code).as_u64(), 15));
    }
}
