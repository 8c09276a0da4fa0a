//! Limits of a group on a command line, where `none` takes one away.

use std::str::FromStr;

use super::{ForwardRule, bandwidth};
use crate::config::Problem;

/// The most that a group's limits count to.
pub const MOST_COUNTED: usize = 1_000_000;

/// A limit, or that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound<T>(pub Option<T>);

/// Reads a number from 1 to 1,000,000, or `none`.
///
/// # Errors
///
/// [`Problem::NotA`], [`Problem::OutOfRange`].
pub fn count_bound(text: &str) -> Result<Bound<usize>, Problem> {
    if text == "none" {
        return Ok(Bound(None));
    }
    let number = text.parse().map_err(|_| Problem::NotA {
        text: text.into(),
        expected: "a number or `none`",
        example: "\"100\"",
    })?;
    if (1..=MOST_COUNTED).contains(&number) {
        Ok(Bound(Some(number)))
    } else {
        let range = "a number from 1 to 1000000, or `none`";
        Err(Problem::OutOfRange { text: text.into(), range })
    }
}

/// Reads a bandwidth, or `none`.
///
/// # Errors
///
/// As [`bandwidth`].
pub fn bandwidth_bound(text: &str) -> Result<Bound<u64>, Problem> {
    if text == "none" { Ok(Bound(None)) } else { bandwidth(text).map(|rate| Bound(Some(rate))) }
}

/// Ports that a group's clients may ask for: rules separated by commas, or `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRules(pub Vec<ForwardRule>);

impl FromStr for PortRules {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(|rule| rule.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_takes_a_limit_away() {
        assert_eq!(count_bound("none").unwrap(), Bound(None));
        assert_eq!(bandwidth_bound("none").unwrap(), Bound(None));
        assert_eq!("none".parse::<PortRules>().unwrap().0, []);
    }

    #[test]
    fn limits_are_read_as_in_the_file() {
        assert_eq!(count_bound("100").unwrap(), Bound(Some(100)));
        assert_eq!(bandwidth_bound("10MB").unwrap(), Bound(Some(10_000_000)));
        assert_eq!("8000, 9000-9010,127.0.0.1:7000".parse::<PortRules>().unwrap().0.len(), 3);
        assert!(matches!(count_bound("0"), Err(Problem::OutOfRange { .. })));
        assert!(matches!(count_bound("1000001"), Err(Problem::OutOfRange { .. })));
        assert!(matches!(count_bound("many"), Err(Problem::NotA { .. })));
        assert!("8000,".parse::<PortRules>().is_err());
    }
}
