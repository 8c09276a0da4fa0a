//! What a chain of certificates says, for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

const DAY: i64 = 24 * 60 * 60;

/// A certificate is renewed before it has fewer days left than this.
pub(super) const FEW_DAYS: i64 = 14;

/// What the first certificate of a chain says.
pub(super) struct Leaf {
    /// Its names, or else its subject.
    pub(super) names: String,
    /// The dates between which it is valid.
    pub(super) begins: SystemTime,
    pub(super) ends: SystemTime,
}

impl Leaf {
    /// Whether it was never to be valid for much longer than people wait with a renewal.
    pub(super) fn is_short_lived(&self) -> bool {
        days(self.begins, self.ends) < 2 * FEW_DAYS
    }
}

/// Reads the first certificate of a chain; `None` when it is none.
pub(super) fn leaf<T: AsRef<[u8]>>(chain: &[T]) -> Option<Leaf> {
    let (_, certificate) = X509Certificate::from_der(chain.first()?.as_ref()).ok()?;
    let validity = certificate.validity();
    Some(Leaf {
        names: names(&certificate),
        begins: moment(validity.not_before.timestamp()),
        ends: moment(validity.not_after.timestamp()),
    })
}

fn names(certificate: &X509Certificate<'_>) -> String {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter().filter_map(name).collect());
    let names: Vec<String> = names.unwrap_or_default();
    if names.is_empty() { certificate.subject().to_string() } else { names.join(", ") }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(octets) = name else { return None };
    let v4 = <[u8; 4]>::try_from(*octets).map(std::net::IpAddr::from);
    let v6 = <[u8; 16]>::try_from(*octets).map(std::net::IpAddr::from);
    v4.or(v6).ok().map(|ip| ip.to_string())
}

fn moment(seconds: i64) -> SystemTime {
    let before = Duration::from_secs(seconds.unsigned_abs());
    let moment = match seconds {
        0.. => UNIX_EPOCH.checked_add(before),
        _ => UNIX_EPOCH.checked_sub(before),
    };
    moment.unwrap_or(UNIX_EPOCH)
}

/// Whole days from `now` to `then`; negative when it is past.
pub(super) fn days(now: SystemTime, then: SystemTime) -> i64 {
    let seconds = match then.duration_since(now) {
        Ok(left) => i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        Err(past) => i64::try_from(past.duration().as_secs()).map_or(i64::MIN, i64::wrapping_neg),
    };
    seconds.div_euclid(DAY)
}
