//! What a person may do about a failure to reach the gateway.

use std::io;

use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::Dialer;
use crate::{
    error::TunnelError,
    net::{MORE_FILES, is_out_of_files},
    tls::Trust,
};

/// How rustls begins when it does not accept a certificate.
const CERTIFICATE: &str = "invalid peer certificate: ";

/// What rustls says of a certificate, and what a person may do.
const HINTS: [(&str, &str); 1] = [(
    "certificate not valid for name",
    "; set `server_name` to a name in the gateway's certificate",
)];

/// What rustls says when the moment does not fit, and what a person may do, unless it is the clock.
const TIMES: [(&str, &str); 2] = [
    ("certificate expired", "renew it on the gateway, for example with `anyproxy certs --dir DIR`"),
    ("certificate not valid yet", "wait, or make it valid from an earlier day"),
];

/// Whoever answers there knows nothing newer than TLS 1.2.
const OLD_TLS: &str = "; TLS 1.3 is not spoken there: switch it on (nginx: ssl_protocols), or set \
                       `tls12 = true` if a middlebox speaks nothing newer";

/// The fix when there is no socket because there is no descriptor.
pub(super) fn files(error: &io::Error) -> String {
    if is_out_of_files(error) { format!("; {MORE_FILES}") } else { String::new() }
}

impl Dialer {
    /// The fix when the gateway's certificate is not accepted. Both transports pass rustls' own words
    /// on; a CA of the same name but another key is a bad signature to it, which would send people
    /// looking in the wrong place.
    pub(super) fn certificate_hint(&self, error: &TunnelError) -> Cow<'static, str> {
        let TunnelError::Transport(text) = error else { return Cow::Borrowed("") };
        let what = text.split_once(CERTIFICATE).map(|(_, what)| what);
        let time = TIMES.iter().find(|(words, _)| what.is_some_and(|what| what.contains(words)));
        match time {
            Some((_, fix)) => {
                let now = civil(SystemTime::now());
                format!("; {fix}; or this machine's clock is wrong: it says {now}").into()
            }
            None => Cow::Borrowed(self.other_hint(text)),
        }
    }

    fn other_hint(&self, text: &str) -> &'static str {
        if text.ends_with("fatal alert: ProtocolVersion") {
            return OLD_TLS;
        }
        let Some((_, what)) = text.split_once(CERTIFICATE) else { return "" };
        let other = HINTS.iter().find(|(words, _)| what.contains(words));
        if !what.starts_with("UnknownIssuer") && !what.starts_with("BadSignature") {
            return other.map_or("", |(_, hint)| hint);
        }
        match &self.config.trust {
            Trust::Ca(_) => {
                "; no CA of the client's CA file signed the gateway's certificate: use the CA file \
                 of this gateway"
            }
            Trust::SystemAnd(_) => {
                "; neither a CA of this system nor one of `extra_ca` signed it: set the CA file or \
                 pin of this gateway, or the CA of the proxy that inspects TLS"
            }
            Trust::System => {
                "; no CA of this system signed the gateway's certificate: set the CA file or pin of \
                 this gateway"
            }
            Trust::Pin(_) => "; the CA that the pin names did not sign it",
        }
    }
}

const DAY: u64 = 24 * 60 * 60;

/// A moment as people read it, to the minute, in UTC.
fn civil(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute) = (seconds % DAY / 3600, seconds % 3600 / 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// The date so many days after 1970-01-01, in the Gregorian calendar.
fn date(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        match days.checked_sub(length) {
            Some(rest) if year < 9999 => (days, year) = (rest, year.saturating_add(1)),
            Some(_) | None => break,
        }
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1_usize;
    for length in lengths {
        let Some(rest) = days.checked_sub(length) else { break };
        (days, month) = (rest, month.saturating_add(1));
    }
    (year, month, days.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_as_people_read_them() {
        let at = |seconds| civil(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(at(1_735_689_599), "2024-12-31 23:59 UTC");
        assert_eq!(at(1_798_761_600), "2027-01-01 00:00 UTC");
    }
}
