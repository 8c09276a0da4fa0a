//! The golden token of `docs/protocol.md` is checked in `tests/golden.rs`.

use super::*;

fn token() -> JoinToken {
    JoinToken {
        id: [1; 8],
        secret: SecretBytes::new([2; SECRET]),
        pin: Some([3; 32]),
        group: "home".into(),
        address: "gw.example.com:8443".into(),
    }
}

#[test]
fn a_token_survives_its_bytes() {
    for token in [token(), JoinToken { pin: None, ..token() }] {
        assert_eq!(JoinToken::from_bytes(token.to_bytes().expose()), Ok(token));
    }
    let longest = JoinToken { group: "g".repeat(64), address: "a".repeat(255), ..token() };
    let bytes = longest.to_bytes();
    assert_eq!(bytes.expose().len(), LONGEST);
    assert_eq!(JoinToken::from_bytes(bytes.expose()), Ok(longest));
}

#[test]
fn any_changed_bit_and_any_cut_is_found() {
    let bytes = token().to_bytes();
    let bytes = bytes.expose();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(JoinToken::from_bytes(&changed), Err(BadToken::Checksum), "{bit}");
    }
    for end in 0..bytes.len() {
        assert!(JoinToken::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
}

/// With the right checksum, whatever else is wrong has to be found by itself.
fn sealed(body: &[u8]) -> Result<JoinToken, BadToken> {
    JoinToken::from_bytes(&[body, &JoinToken::checksum(body)].concat())
}

#[test]
fn a_checksum_does_not_make_a_token() {
    let bytes = token().to_bytes();
    let body = &bytes.expose()[..bytes.expose().len() - CHECKSUM];
    assert_eq!(sealed(body), Ok(token()));
    for end in 0..body.len() {
        assert_eq!(sealed(&body[..end]), Err(BadToken::Length), "{end}");
    }
    assert_eq!(sealed(&[body, b"x"].concat()), Err(BadToken::Length));
    assert_eq!(sealed(&[body, &[0; 400]].concat()), Err(BadToken::Length));
    let mut newer = body.to_vec();
    newer[0] |= 2;
    assert_eq!(sealed(&newer), Err(BadToken::Unknown));
    for (group, address) in [("", "a:1"), ("g", ""), ("g\n", "a:1"), ("g", "a\u{7f}:1")] {
        let (group, address) = (group.to_owned(), address.to_owned());
        let bad = JoinToken { group, address, ..token() }.to_bytes();
        assert_eq!(JoinToken::from_bytes(bad.expose()), Err(BadToken::Content));
    }
}

#[test]
fn the_secret_is_not_shown() {
    let shown = format!("{:?}", token());
    assert!(shown.contains("home") && !shown.contains("secret") && !shown.contains('2'), "{shown}");
}
