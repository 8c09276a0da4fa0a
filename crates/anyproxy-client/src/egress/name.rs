//! Host names, as asked for and as written in rules.

/// A host name: lower case, of letters, digits, `-`, `_` and `.` only.
///
/// Anything else is refused, so that two spellings of one name cannot be told apart by a rule:
/// other alphabets have to come as Punycode, which is what browsers send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

/// What is wrong with a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no name.
    #[error("the host is missing")]
    Missing,
    /// Over 253 bytes (RFC 1035 section 2.3.4, without the root's dot).
    #[error("the name is longer than 253 bytes")]
    TooLong,
    /// A part between dots is empty or longer than 63 bytes.
    #[error("a part of the name is empty or longer than 63 bytes")]
    Label,
    /// A character that no host name has.
    #[error("{0:?} cannot be part of a host name")]
    Character(char),
}

impl Name {
    /// Takes a name, with or without the final dot that makes it absolute.
    pub(super) fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.is_empty() {
            return Err(NameError::Missing);
        }
        if bare.len() > 253 {
            return Err(NameError::TooLong);
        }
        let known = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(other) = bare.chars().find(|c| !known(c)) {
            return Err(NameError::Character(other));
        }
        if bare.split('.').any(|label| label.is_empty() || label.len() > 63) {
            return Err(NameError::Label);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    /// What the resolver is asked: a final dot stays, because it switches search domains off.
    pub(super) fn asked(&self) -> &str {
        &self.0
    }

    /// What rules compare: without the final dot.
    pub(super) fn compared(&self) -> &str {
        self.0.strip_suffix('.').unwrap_or(&self.0)
    }

    /// The name as rules keep it.
    pub(super) fn into_compared(mut self) -> Self {
        if self.0.ends_with('.') {
            self.0.pop();
        }
        self
    }

    /// Whether resolvers may take it for an address: the last part is a number, decimal or
    /// hexadecimal (the URL standard's "ends in a number" test).
    pub(super) fn ends_in_number(&self) -> bool {
        let last = self.compared().rsplit('.').next().unwrap_or_default();
        let hex = last.strip_prefix("0x").map(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
        hex.unwrap_or_else(|| last.bytes().all(|b| b.is_ascii_digit()))
    }
}
