#![no_main]
//! Join tokens, and the proofs of clients with keys. What is taken survives our encoder; the checksum is made
//! right for one half of the inputs, which would not get past it else.

use anyproxy_wire::{
    handshake::{KeyProof, TokenProof},
    join_token::JoinToken,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, &[u8])| {
    let (sealed, bytes) = input;
    let mut bytes = bytes.to_vec();
    if sealed {
        bytes.extend(JoinToken::checksum(&bytes));
    }
    if let Ok(token) = JoinToken::from_bytes(&bytes) {
        assert_eq!(JoinToken::from_bytes(token.to_bytes().expose()), Ok(token));
    }
    if let Some(proof) = KeyProof::from_bytes(&bytes) {
        assert_eq!(proof.to_bytes(), bytes);
    }
    if let Some(proof) = TokenProof::from_bytes(&bytes) {
        assert_eq!(proof.to_bytes(), bytes);
    }
});
