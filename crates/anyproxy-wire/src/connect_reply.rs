//! The head of a proxy's answer to CONNECT (RFC 9112, 4 and 5), without I/O.
//!
//! A proxy is not trusted: its head is bounded, its words are shown without control characters, and
//! nothing that follows a 2xx is read here, for it belongs to the tunnel (RFC 9110, 9.3.6: a 2xx to
//! CONNECT has no content).

/// The largest head, in bytes. Proxies that refuse say much, but after the head.
pub const MAX_HEAD: usize = 16 * 1024;

/// Characters of a proxy's words that are shown.
const MAX_REASON: usize = 80;

/// Authentication schemes that are remembered.
const MAX_SCHEMES: usize = 8;

/// What a proxy answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Its words; may be empty.
    pub reason: String,
    /// The schemes of `Proxy-Authenticate`.
    pub schemes: Vec<String>,
}

/// Why bytes are no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// It does not begin like HTTP.
    #[error("what it answered is no HTTP")]
    NotHttp,
    /// The head does not end.
    #[error("the head of its answer is too large")]
    TooLarge,
}

impl Reply {
    /// Reads the head at the start of `bytes`, and tells how long it is; `None`: there is more to
    /// come. Informational answers (1xx) are given out like any other.
    ///
    /// # Errors
    /// [`BadReply`] as soon as it is sure that no answer will come of it.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, BadReply> {
        let begins = bytes.len().min(5);
        if bytes.get(..begins) != b"HTTP/".get(..begins) {
            return Err(BadReply::NotHttp);
        }
        let searched = bytes.get(..MAX_HEAD.min(bytes.len())).unwrap_or(bytes);
        let Some(length) = head_length(searched) else {
            let hopeless = bytes.len() >= MAX_HEAD;
            return if hopeless { Err(BadReply::TooLarge) } else { Ok(None) };
        };
        let head = String::from_utf8_lossy(searched.get(..length).unwrap_or_default());
        let mut lines = head.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let (status, reason) = status_line(lines.next().unwrap_or_default())?;
        let schemes = lines.filter_map(scheme).take(MAX_SCHEMES).collect();
        Ok(Some((Self { status, reason, schemes }, length)))
    }

    /// Whether the way is free.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether another answer follows.
    #[must_use]
    pub fn is_informational(&self) -> bool {
        (100..200).contains(&self.status)
    }

    /// Whether `Proxy-Authenticate` names the scheme, in any case.
    #[must_use]
    pub fn offers(&self, scheme: &str) -> bool {
        self.schemes.iter().any(|offered| offered.eq_ignore_ascii_case(scheme))
    }
}

/// Up to and with the empty line. Lone line feeds count too (RFC 9112, 2.2).
fn head_length(bytes: &[u8]) -> Option<usize> {
    let feeds = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    for (at, _) in feeds {
        let rest = bytes.get(at.saturating_add(1)..).unwrap_or_default();
        let empty = if rest.starts_with(b"\r\n") {
            2
        } else if rest.starts_with(b"\n") {
            1
        } else {
            continue;
        };
        return Some(at.saturating_add(1).saturating_add(empty));
    }
    None
}

/// `HTTP/1.1 200 Connection established`.
fn status_line(line: &str) -> Result<(u16, String), BadReply> {
    let mut parts = line.splitn(3, ' ');
    let version = parts.next().unwrap_or_default();
    let code = parts.next().unwrap_or_default();
    let known = version.starts_with("HTTP/1.");
    let digits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let status = code.parse().ok().filter(|status| known && digits && *status >= 100);
    let status = status.ok_or(BadReply::NotHttp)?;
    Ok((status, shown(parts.next().unwrap_or_default())))
}

fn shown(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().take(MAX_REASON).map(printable).collect()
}

/// The scheme of one `Proxy-Authenticate` line. A proxy that lists several on one line is read as
/// far as its first: such a line cannot be told apart from one scheme's parameters at a glance, and
/// Basic is the only one that matters.
fn scheme(line: &str) -> Option<String> {
    let (name, value) = line.split_once(':')?;
    if !name.eq_ignore_ascii_case("proxy-authenticate") {
        return None;
    }
    let value = value.trim();
    if value.to_ascii_lowercase().split(',').any(|one| one.trim_start().starts_with("basic")) {
        return Some("Basic".into());
    }
    let first = value.split([' ', ',']).next().filter(|first| !first.is_empty())?;
    Some(shown(first))
}

#[cfg(test)]
mod tests;
