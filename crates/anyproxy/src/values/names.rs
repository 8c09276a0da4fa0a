//! Names: of groups, clients and forwards, and the path of the WebSocket.

use crate::config::Problem;

/// Reads the name of a group: 1 to 64 letters, digits, `-`, `_` or `.`, not starting with a dot.
///
/// The name is also a proxy user's name (so no colon) and part of a file name (so no slash).
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn group_name(text: &str) -> Result<String, Problem> {
    let fits = (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits {
        Ok(text.into())
    } else {
        Err(Problem::NotA {
            text: text.into(),
            expected: "a group name (1 to 64 letters, digits, \"-\", \"_\" or \".\")",
            example: "\"demo\"",
        })
    }
}

/// Reads the name of a proxy user: 1 to 64 letters, digits, `-`, `_`, `.`, `+` or `@`.
///
/// Basic authentication ends the name at a colon (RFC 7617, section 2).
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn user_name(text: &str) -> Result<String, Problem> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+' | b'@');
    if (1..=64).contains(&text.len()) && text.bytes().all(known) {
        Ok(text.into())
    } else {
        Err(Problem::NotA {
            text: text.into(),
            expected: "a user name (1 to 64 letters, digits, \"-\", \"_\", \".\", \"+\" or \"@\")",
            example: "\"alice\"",
        })
    }
}

/// Reads a client id: 1 to 128 bytes of printable text.
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn client_id(text: &str) -> Result<String, Problem> {
    printable(text, 128).ok_or_else(|| Problem::NotA {
        text: text.into(),
        expected: "a client id (1 to 128 bytes, no control characters)",
        example: "\"office-1\"",
    })
}

/// Reads the name of a forward: 1 to 64 bytes of printable text.
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn forward_name(text: &str) -> Result<String, Problem> {
    printable(text, 64).ok_or_else(|| Problem::NotA {
        text: text.into(),
        expected: "a name (1 to 64 bytes, no control characters)",
        example: "\"ssh\"",
    })
}

fn printable(text: &str, limit: usize) -> Option<String> {
    let fits = (1..=limit).contains(&text.len()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// Reads the path at which a gateway upgrades to the WebSocket: `/` and visible ASCII, without a
/// query or a fragment, at most 256 bytes.
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn ws_path(text: &str) -> Result<String, Problem> {
    let fits = text.starts_with('/')
        && text.len() <= 256
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'));
    if fits {
        Ok(text.into())
    } else {
        Err(Problem::NotA {
            text: text.into(),
            expected: "a path (starts with \"/\", no spaces, query or fragment)",
            example: "\"/anyproxy\"",
        })
    }
}

/// Reads what `Host` says: a name, with a port if need be.
///
/// # Errors
///
/// [`Problem::NotA`] for anything else.
pub fn host_header(text: &str) -> Result<String, Problem> {
    let known =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'[' | b']');
    if (1..=255).contains(&text.len()) && text.bytes().all(known) {
        Ok(text.into())
    } else {
        Err(Problem::NotA {
            text: text.into(),
            expected: "a host name for the request (host or host:port)",
            example: "\"tunnel.example.com\"",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit() {
        for text in ["demo", "a", "team-1_x.y", &"g".repeat(64)] {
            assert_eq!(group_name(text).unwrap(), text);
        }
        for text in ["alice", "bob+1@corp.example", &"u".repeat(64)] {
            assert_eq!(user_name(text).unwrap(), text);
        }
        assert_eq!(client_id("büro 1").unwrap(), "büro 1");
        assert_eq!(forward_name("web").unwrap(), "web");
        assert_eq!(ws_path("/t/any").unwrap(), "/t/any");
    }

    #[test]
    fn names_that_do_not() {
        for text in ["", "a:b", "a/b", "..", ".hidden", "a b", "ä", &"g".repeat(65)] {
            assert!(group_name(text).is_err(), "{text}");
        }
        for text in ["", "a:b", "a b", "ä", "a\nb", "a,b", &"u".repeat(65)] {
            assert!(user_name(text).is_err(), "{text}");
        }
        for text in ["", "a\nb", "\u{7f}", &"c".repeat(129)] {
            assert!(client_id(text).is_err(), "{text}");
        }
        assert!(forward_name(&"f".repeat(65)).is_err());
        for text in ["", "anyproxy", "/a b", "/a?b", "/a#b", "/ä"] {
            assert!(ws_path(text).is_err(), "{text}");
        }
    }
}
