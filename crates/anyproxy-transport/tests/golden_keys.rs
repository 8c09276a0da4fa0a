//! The signatures of `docs/protocol.md`, which another program has made.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure is the test's result")]

#[path = "../../anyproxy-wire/tests/golden/table.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod table;

use anyproxy_transport::{ClientKey, check_signature};
use anyproxy_wire::handshake::{ProofCheck, PublicKey, Secret, Transcript, enrolment};
use table::{hex, rows};

fn value<const N: usize>(heading: &str, name: &str) -> [u8; N] {
    let rows = rows(heading);
    let row = rows.iter().find(|cells| cells[0] == name).unwrap();
    hex(row.last().unwrap()).try_into().unwrap()
}

fn bytes(name: &str) -> Vec<u8> {
    let rows = rows("### Frames");
    hex(rows.iter().find(|cells| cells[0] == name).unwrap().last().unwrap())
}

const CONSTANTS: &str = "## 13. Golden bytes";
const VALUES: &str = "### Keys and tokens";

fn said(case: &str) -> Transcript {
    let (hello, challenge) =
        (bytes(&format!("Hello, {case}")), bytes(&format!("Challenge, {case}")));
    Transcript::new(&hello, &challenge, Some(&value(CONSTANTS, "TLS exporter")))
}

#[test]
fn the_golden_signatures_are_of_the_golden_key() {
    let seed = Secret::new(value::<32>(CONSTANTS, "seed of the client's key"));
    let public: PublicKey = value(CONSTANTS, "its public key");
    assert_eq!(ClientKey::from_seed(&seed).unwrap().public(), public);
    let enrolled = enrolment(&said("token"), &value(CONSTANTS, "token id"), &public);
    for (said, other, name) in
        [(said("key"), enrolled, "signature, key"), (enrolled, said("token"), "signature, token")]
    {
        let signature = value(VALUES, name);
        assert_eq!(check_signature(&public, &said, &signature), ProofCheck::Right, "{name}");
        assert_eq!(check_signature(&public, &other, &signature), ProofCheck::Wrong, "{name}");
    }
}
