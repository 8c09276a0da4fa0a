//! What settings take from outside flags and files: secrets, and the host's name.

use std::io::{self, Read};

use anyproxy_wire::handshake::Secret;
use zeroize::Zeroizing;

use crate::config::Problem;

/// The environment variable that holds a secret.
pub(super) const SECRET_VARIABLE: &str = "ANYPROXY_SECRET";

/// The longest secret that is read, in bytes.
pub(crate) const LONGEST_SECRET: u64 = 4_096;

/// How much of a stream is read for a secret: enough to see that it is too long, which a part of it must
/// not hide.
pub(crate) const READ_FOR_SECRET: u64 = LONGEST_SECRET + 3;

/// The world outside of flags and files. `check` and tests have their own.
pub trait Outside {
    /// The value of `ANYPROXY_SECRET`, if it is set and not empty.
    fn secret_variable(&self) -> Option<Vec<u8>>;

    /// All of standard input, or as much as tells that it is longer than 4,096 bytes and a line end.
    ///
    /// # Errors
    ///
    /// Those of reading it.
    fn standard_input(&mut self) -> io::Result<Vec<u8>>;

    /// The host's name, if it has one.
    fn host_name(&self) -> Option<String>;

    /// The join token of `ANYPROXY_JOIN`, if it is set and not empty. It is a secret.
    fn join_variable(&self) -> Option<String> {
        None
    }

    /// A variable about HTTP proxies, such as `HTTPS_PROXY` or `ANYPROXY_PROXY_PASSWORD`, if it is set and not
    /// empty. It may hold a password.
    fn proxy_variable(&self, name: &str) -> Option<Vec<u8>> {
        let _ = name;
        None
    }
}

/// The process's own environment and standard input.
#[derive(Debug, Default)]
pub struct Process;

impl Outside for Process {
    fn secret_variable(&self) -> Option<Vec<u8>> {
        let value = std::env::var_os(SECRET_VARIABLE)?.into_encoded_bytes();
        (!value.is_empty()).then_some(value)
    }

    fn standard_input(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io::stdin().lock().take(READ_FOR_SECRET).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn host_name(&self) -> Option<String> {
        host_name()
    }

    fn join_variable(&self) -> Option<String> {
        std::env::var("ANYPROXY_JOIN").ok().filter(|value| !value.is_empty())
    }

    fn proxy_variable(&self, name: &str) -> Option<Vec<u8>> {
        let value = std::env::var_os(name)?.into_encoded_bytes();
        (!value.is_empty()).then_some(value)
    }
}

#[cfg(unix)]
fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(not(unix))]
fn host_name() -> Option<String> {
    std::env::var("COMPUTERNAME").ok().filter(|name| !name.is_empty())
}

/// Makes a secret of what a file or standard input held: one line, without its end.
///
/// # Errors
///
/// A [`Problem::Refused`] that names `origin` when the line is empty or too long, or there is another
/// one.
pub(crate) fn secret_from_bytes(bytes: Vec<u8>, origin: &str) -> Result<Secret, Problem> {
    let bytes = Zeroizing::new(bytes);
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(Problem::Refused {
            what: format!("{origin} holds no secret"),
            fix: "make one: anyproxy hash-password --generate".into(),
        });
    }
    if u64::try_from(line.len()).is_ok_and(|length| length > LONGEST_SECRET) {
        return Err(Problem::Refused {
            what: format!("{origin} holds more than {LONGEST_SECRET} bytes"),
            fix: "choose a shorter one".into(),
        });
    }
    if line.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        return Err(Problem::Refused {
            what: format!("{origin} holds more than one line"),
            fix: "keep nothing in it but the secret, on one line".into(),
        });
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_a_secret() {
        for text in ["a secret", "a secret\n", "a secret\r\n"] {
            let secret = secret_from_bytes(text.into(), "x").unwrap();
            assert_eq!(secret.expose(), b"a secret");
        }
        assert_eq!(secret_from_bytes(b" a ".into(), "x").unwrap().expose(), b" a ");
    }

    #[test]
    fn anything_else_is_none() {
        for text in ["", "\n", "\r\n", "a\nb", "a\n\n", "a\0b"] {
            let error = secret_from_bytes(text.into(), "stdin").unwrap_err();
            assert!(error.to_string().starts_with("stdin holds"), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_is_too_long_is_not_cut() {
        let longest = usize::try_from(LONGEST_SECRET).unwrap();
        for end in ["", "\n", "\r\n"] {
            let line = |length| ["a".repeat(length), end.to_owned()].concat().into_bytes();
            assert_eq!(secret_from_bytes(line(longest), "x").unwrap().expose().len(), longest);
            let error = secret_from_bytes(line(longest + 1), "x").unwrap_err();
            assert!(error.to_string().contains("4096"), "{error}");
        }
    }

    #[test]
    fn the_host_has_a_name() {
        assert!(host_name().is_none_or(|name| !name.is_empty()));
    }
}
