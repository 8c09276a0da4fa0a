//! Durations and sizes as people write them: `10s`, `1h30m`, `256MiB`.

use std::time::Duration;

use crate::config::Problem;

/// The longest duration that a setting takes: a year. Adding it to a clock cannot overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What the error about a malformed duration says is expected.
const DURATION: &str = "a duration";

/// What the error about a malformed size says is expected.
const SIZE: &str = "a size";

/// Reads a duration: whole numbers with `ms`, `s`, `m`, `h` or `d`, largest first or not
/// (`1h30m`); a lone number counts seconds.
///
/// # Errors
///
/// [`Problem::NotA`] for other texts, [`Problem::OutOfRange`] for more than a year.
pub fn duration(text: &str) -> Result<Duration, Problem> {
    let malformed =
        || Problem::NotA { text: text.into(), expected: DURATION, example: "\"30s\" or \"5m\"" };
    let too_long = || Problem::OutOfRange { text: text.into(), range: "at most 365d" };
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(malformed());
    }
    while !rest.is_empty() {
        let (number, unit, after) = split_quantity(rest).ok_or_else(malformed)?;
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            // A bare number stands alone: "1h30" could mean minutes or seconds.
            "" if rest.len() == text.trim().len() => Some(Duration::from_secs(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => number.checked_mul(60).map(Duration::from_secs),
            "h" => number.checked_mul(60 * 60).map(Duration::from_secs),
            "d" => number.checked_mul(24 * 60 * 60).map(Duration::from_secs),
            _ => return Err(malformed()),
        };
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(too_long)?;
        rest = after;
    }
    if total > LONGEST { Err(too_long()) } else { Ok(total) }
}

/// Reads a size in bytes: a whole number with `B`, `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024) or
/// `kB`, `MB`, `GB`, `TB` (powers of 1000), in any case; a lone number counts bytes.
///
/// # Errors
///
/// [`Problem::NotA`] for other texts, [`Problem::OutOfRange`] for what 64 bits cannot hold.
pub fn size(text: &str) -> Result<u64, Problem> {
    let malformed =
        || Problem::NotA { text: text.into(), expected: SIZE, example: "\"256MiB\" or \"1GB\"" };
    let (number, unit, after) = split_quantity(text.trim()).ok_or_else(malformed)?;
    if !after.is_empty() {
        return Err(malformed());
    }
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(malformed()),
    };
    number
        .checked_mul(factor)
        .ok_or(Problem::OutOfRange { text: text.into(), range: "less than 2^64 bytes" })
}

/// The least bandwidth that a group can be given, in bytes a second: below it, nothing but waiting happens.
const LEAST_BANDWIDTH: u64 = 1_000;

/// Reads a bandwidth: a size, for each second.
///
/// # Errors
///
/// As [`size`], and [`Problem::OutOfRange`] for less than 1 kB.
pub fn bandwidth(text: &str) -> Result<u64, Problem> {
    let rate = size(text)?;
    if rate >= LEAST_BANDWIDTH {
        Ok(rate)
    } else {
        Err(Problem::OutOfRange { text: text.into(), range: "1kB (a second) or more" })
    }
}

/// Takes `number unit` off the front: the number, its unit (maybe empty), and what follows.
fn split_quantity(text: &str) -> Option<(u64, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let number = number.parse().ok()?;
    let rest = rest.trim_start();
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, after) = rest.split_at(letters);
    Some((number, unit, after.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_every_unit() {
        for (text, expected) in [
            ("0", 0),
            ("10", 10_000),
            ("10s", 10_000),
            ("250ms", 250),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2 h", 7_200_000),
            ("365d", 31_536_000_000),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(expected), "{text}");
        }
    }

    #[test]
    fn malformed_durations_are_refused() {
        for text in ["", "s", "-1s", "1.5s", "10 parsecs", "1h30", "10s!", "99999999999999999999s"]
        {
            assert!(matches!(duration(text), Err(Problem::NotA { .. })), "{text}");
        }
        for text in ["366d", "18446744073709551615h", "18446744073709551615s"] {
            assert!(matches!(duration(text), Err(Problem::OutOfRange { .. })), "{text}");
        }
    }

    #[test]
    fn sizes_in_every_unit() {
        for (text, expected) in [
            ("0", 0),
            ("512B", 512),
            ("64KiB", 65_536),
            ("256MiB", 268_435_456),
            ("256 mib", 268_435_456),
            ("1kB", 1_000),
            ("10MB", 10_000_000),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(size(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_bandwidth_is_not_too_small() {
        assert_eq!(bandwidth("10MB").unwrap(), 10_000_000);
        assert!(matches!(bandwidth("999"), Err(Problem::OutOfRange { .. })));
        assert!(matches!(bandwidth("10Mbit"), Err(Problem::NotA { .. })));
    }

    #[test]
    fn malformed_sizes_are_refused() {
        for text in ["", "MiB", "1M", "1.5GiB", "-1", "1MiB2", "1 MiB B"] {
            assert!(matches!(size(text), Err(Problem::NotA { .. })), "{text}");
        }
        assert!(matches!(size("18446744073709551615KiB"), Err(Problem::OutOfRange { .. })));
    }
}
