//! The golden handshake of `docs/protocol.md` is checked in `tests/golden.rs`.

use super::keys::{hmac, sha256};
use super::*;
use crate::message::Intent;

fn hello() -> Hello {
    Hello {
        versions: vec![VERSION],
        features: 0,
        methods: vec![METHOD_SECRET],
        nonce: [1; 32],
        principal: "home".into(),
        client_id: "laptop".into(),
        instance: [2; 16],
        replica: 0,
        intent: Intent::New,
        initial_credit: 0,
        software: String::new(),
    }
}

fn challenge() -> Challenge {
    Challenge {
        version: VERSION,
        features: 0,
        method: METHOD_SECRET,
        nonce: [3; 32],
        binding: Binding::Exporter,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn hmac_gives_the_vectors_of_rfc_4231() {
    let hi = hmac(&[0x0b; 20], &[b"Hi ", b"There"]);
    assert_eq!(hex(&hi), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    let jefe = hmac(b"Jefe", &[b"what do ya want for nothing?"]);
    assert_eq!(hex(&jefe), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    // A key longer than a block of the hash.
    let long = hmac(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
    assert_eq!(hex(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    // Keys of exactly a block, and of one byte more; by Python's hmac.
    let block = hmac(&[0x61; 64], &[b"x"]);
    assert_eq!(hex(&block), "b65ca3a3235f948bc0e6bd747532c54a983b54ddad1a4d1bd8b958e065b1cab4");
    let more = hmac(&[0x61; 65], &[b"x"]);
    assert_eq!(hex(&more), "5c8ad20f6d25c86ccfc9774f1c0ca49d3675f3a112d9905cce286e2636681b75");
}

#[test]
fn sha256_does_not_depend_on_the_parts() {
    assert_eq!(sha256(&[b"a", b"", b"bc"]), sha256(&[b"abc"]));
    assert_eq!(
        hex(&sha256(&[b"abc"])),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn right_proofs_pass() {
    let secret = Secret::new(*b"a generated secret");
    let verifier = Verifier::from_secret(&secret);
    let transcript = Transcript::new(b"hello", b"challenge", Some(&[7; 32]));
    let proof = client_proof(&secret, &transcript);
    assert_eq!(check_client_proof(&verifier, &transcript, &proof), ProofCheck::Right);
    let proof = gateway_proof(&verifier, &transcript);
    assert_eq!(check_gateway_proof(&secret, &transcript, &proof), ProofCheck::Right);
}

#[test]
fn a_proof_of_another_secret_fails() {
    let (secret, other) = (Secret::new(*b"one"), Secret::new(*b"two"));
    let transcript = Transcript::new(b"hello", b"challenge", None);
    let verifier = Verifier::from_secret(&secret);
    let proof = client_proof(&other, &transcript);
    assert_eq!(check_client_proof(&verifier, &transcript, &proof), ProofCheck::Wrong);
    let proof = gateway_proof(&Verifier::from_secret(&other), &transcript);
    assert_eq!(check_gateway_proof(&secret, &transcript, &proof), ProofCheck::Wrong);
}

#[test]
fn a_proof_is_good_for_its_own_transcript_only() {
    let secret = Secret::new(*b"one");
    let verifier = Verifier::from_secret(&secret);
    let said = Transcript::new(b"hello", b"challenge", Some(&[7; 32]));
    let others = [
        Transcript::new(b"hellp", b"challenge", Some(&[7; 32])),
        Transcript::new(b"hello", b"challenga", Some(&[7; 32])),
        Transcript::new(b"hello", b"challenge", Some(&[8; 32])),
        Transcript::new(b"hello", b"challenge", None),
    ];
    for heard in others {
        let proof = client_proof(&secret, &said);
        assert_eq!(check_client_proof(&verifier, &heard, &proof), ProofCheck::Wrong);
        let proof = gateway_proof(&verifier, &said);
        assert_eq!(check_gateway_proof(&secret, &heard, &proof), ProofCheck::Wrong);
    }
}

#[test]
fn a_proof_with_any_bit_or_the_length_changed_fails() {
    let secret = Secret::new(*b"one");
    let verifier = Verifier::from_secret(&secret);
    let transcript = Transcript::new(b"hello", b"challenge", None);
    let right = client_proof(&secret, &transcript);
    for bit in 0..256 {
        let mut proof = right;
        proof[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check_client_proof(&verifier, &transcript, &proof), ProofCheck::Wrong);
    }
    let mut longer = right.to_vec();
    longer.push(0);
    for proof in [&right[..31], &longer, &[]] {
        assert_eq!(check_client_proof(&verifier, &transcript, proof), ProofCheck::Wrong);
    }
    let right = gateway_proof(&verifier, &transcript);
    assert_eq!(check_gateway_proof(&secret, &transcript, &right[..31]), ProofCheck::Wrong);
}

#[test]
fn what_the_gateway_keeps_does_not_play_a_client() {
    let secret = Secret::new(*b"one");
    let verifier = Verifier::from_secret(&secret);
    let transcript = Transcript::new(b"hello", b"challenge", None);
    for key in [verifier.stored_key(), verifier.gateway_key()] {
        let proof = client_proof(&Secret::new(*key), &transcript);
        assert_eq!(check_client_proof(&verifier, &transcript, &proof), ProofCheck::Wrong);
        let proof = keys::xor(key, &hmac(verifier.stored_key(), &[&transcript.0]));
        assert_eq!(check_client_proof(&verifier, &transcript, &proof), ProofCheck::Wrong);
    }
}

#[test]
fn a_join_proof_depends_on_all_it_covers() {
    let right = join_proof(&[1; 32], &[2; 16], &[3; 32], &[4; 32]);
    let again = join_proof(&[1; 32], &[2; 16], &[3; 32], &[4; 32]);
    assert_eq!(compare_proofs(&right, &again), ProofCheck::Right);
    let others = [
        join_proof(&[9; 32], &[2; 16], &[3; 32], &[4; 32]),
        join_proof(&[1; 32], &[9; 16], &[3; 32], &[4; 32]),
        join_proof(&[1; 32], &[2; 16], &[9; 32], &[4; 32]),
        join_proof(&[1; 32], &[2; 16], &[3; 32], &[9; 32]),
    ];
    for other in others {
        assert_eq!(compare_proofs(&right, &other), ProofCheck::Wrong);
    }
}

#[test]
fn a_verifier_survives_its_text() {
    let verifier = Verifier::from_secret(&Secret::new(*b"one"));
    let text = verifier.to_text();
    assert_eq!(Verifier::from_text(&text), Ok(verifier.clone()));
    let (prefix, digits) = text.split_once(':').unwrap();
    let upper = format!("{prefix}:{}", digits.to_uppercase());
    assert_eq!(Verifier::from_text(&upper), Ok(verifier));
}

#[test]
fn verifiers_are_equal_if_both_keys_are() {
    let [zero, one] = ["0".repeat(64), "1".repeat(64)];
    let verifier = |stored: &str, gateway: &str| {
        Verifier::from_text(&format!("anyproxy1:{stored}:{gateway}")).unwrap()
    };
    assert_eq!(verifier(&zero, &one), verifier(&zero, &one));
    assert_ne!(verifier(&zero, &one), verifier(&zero, &zero));
    assert_ne!(verifier(&zero, &one), verifier(&one, &one));
}

#[test]
fn other_texts_are_no_verifiers() {
    let good = Verifier::from_secret(&Secret::new(*b"one")).to_text();
    let swapped = good.replace("anyproxy1", "anyproxy2");
    let bad = ["", "anyproxy1", "anyproxy1::", &good[1..], &good[..good.len() - 1], &swapped];
    let wrong_digit = format!("{}g", &good[..good.len() - 1]);
    let accented = format!("{}é", &good[..good.len() - 2]);
    let more = format!("{good}:");
    let longer = format!("{good}00");
    for text in bad.into_iter().chain([&*wrong_digit, &accented, &more, &longer]) {
        assert_eq!(Verifier::from_text(text), Err(InvalidVerifier), "{text:?}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let secret = Secret::new(*b"one");
    assert_eq!(format!("{secret:?}"), "SecretBytes(..)");
    assert_eq!(format!("{:?}", Verifier::from_secret(&secret)), "Verifier(..)");
}

#[test]
fn the_gateway_takes_its_favourite_among_the_methods_offered() {
    let both = Hello { methods: vec![METHOD_PASSWORD, METHOD_SECRET], ..hello() };
    assert_eq!(choose(&both, &[METHOD_SECRET, METHOD_PASSWORD]), Ok((1, METHOD_SECRET)));
    assert_eq!(choose(&both, &[METHOD_PASSWORD, METHOD_SECRET]), Ok((1, METHOD_PASSWORD)));
    assert_eq!(choose(&hello(), &[METHOD_PASSWORD, METHOD_SECRET]), Ok((1, METHOD_SECRET)));
}

#[test]
fn nothing_in_common_is_said_so() {
    assert_eq!(choose(&hello(), &[METHOD_PASSWORD]), Err(CloseCode::NoCommonVersion));
    assert_eq!(choose(&hello(), &[]), Err(CloseCode::NoCommonVersion));
    let future = Hello { versions: vec![2], ..hello() };
    assert_eq!(choose(&future, &[METHOD_SECRET]), Err(CloseCode::NoCommonVersion));
    for (versions, says) in [
        (vec![0], "the client is older than the gateway; upgrade the client"),
        (vec![2, 3], "the gateway is older than the client; upgrade the gateway"),
        (vec![0, 2], "no common version: upgrade the older one"),
        (vec![1], "no common method of logging in"),
    ] {
        let why = why_none(&Hello { versions, ..hello() });
        assert!(why.contains(says), "{why}");
    }
    let both = Hello { versions: vec![2, 1], ..hello() };
    assert_eq!(choose(&both, &[METHOD_SECRET]), Ok((1, METHOD_SECRET)));
}

#[test]
fn the_client_takes_only_what_it_offered() {
    assert_eq!(check_challenge(&hello(), &challenge(), Binding::Exporter), Ok(()));
    let cases = [
        (Challenge { version: 2, ..challenge() }, "version"),
        (Challenge { features: 1, ..challenge() }, "features"),
        (Challenge { method: METHOD_PASSWORD, ..challenge() }, "method"),
        (Challenge { binding: Binding::None, ..challenge() }, "binding"),
    ];
    for (challenge, field) in cases {
        let expected = Err(WireError::Invalid { message: "Challenge", field });
        assert_eq!(check_challenge(&hello(), &challenge, Binding::Exporter), expected);
    }
}

#[test]
fn a_certificate_is_bound_on_either_transport_and_nothing_else_on_the_websocket() {
    let hello = Hello { methods: vec![METHOD_SECRET, METHOD_CERTIFICATE], ..hello() };
    let invalid = Err(WireError::Invalid { message: "Challenge", field: "binding" });
    for (method, binding, transport, expected) in [
        (METHOD_CERTIFICATE, Binding::Exporter, Binding::None, Ok(())),
        (METHOD_CERTIFICATE, Binding::Exporter, Binding::Exporter, Ok(())),
        (METHOD_CERTIFICATE, Binding::None, Binding::None, invalid.clone()),
        (METHOD_CERTIFICATE, Binding::None, Binding::Exporter, invalid.clone()),
        (METHOD_SECRET, Binding::Exporter, Binding::None, invalid),
    ] {
        let challenge = Challenge { method, binding, ..challenge() };
        assert_eq!(check_challenge(&hello, &challenge, transport), expected);
    }
}
