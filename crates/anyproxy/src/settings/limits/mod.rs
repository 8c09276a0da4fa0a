//! Bounds of time, memory and numbers: what the sides share, and how their values are read.
//!
//! The defaults are those of the gateway and the client themselves, so that nothing is said twice.

mod client;
mod gateway;
mod of_group;

use std::{ops::RangeInclusive, time::Duration};

use toml::Spanned;

pub use client::ClientLimits;
pub use gateway::GatewayLimits;
pub(super) use of_group::of_group;

use super::input::Input;
use crate::{
    config::{ConfigError, Problem, raw::Text},
    values::{MOST_COUNTED, duration, size},
};

/// How long live connections may go on at shutdown.
const DRAIN: Duration = Duration::from_secs(10);

/// The least stall budget: one connection's largest window, below which it could not fill.
const LEAST_STALL_BUDGET: u64 = 16 << 20;

/// What most numbers may be, and in words.
const COUNT: (RangeInclusive<usize>, &str) = (1..=MOST_COUNTED, "a number from 1 to 1000000");

/// A duration of the file, within `range`.
fn time(
    input: &Input<'_>,
    raw: Option<&Text>,
    (range, words): (RangeInclusive<Duration>, &'static str),
) -> Result<Option<Duration>, ConfigError> {
    let reader = |text: &str| {
        duration(text).and_then(|time| {
            let out_of_range = || Problem::OutOfRange { text: text.into(), range: words };
            range.contains(&time).then_some(time).ok_or_else(out_of_range)
        })
    };
    input.pick(None, raw, reader)
}

/// A number of the file, within `range`.
fn number(
    input: &Input<'_>,
    raw: Option<&Spanned<i64>>,
    range: (RangeInclusive<usize>, &'static str),
) -> Result<Option<usize>, ConfigError> {
    raw.map(|raw| input.number(raw, range)).transpose()
}

/// The one of two places in the file that has the setting: beside the others, where it was before there
/// was a `[limits]`, or in that table.
fn either<'a, T>(
    input: &Input<'_>,
    (top, in_table): (Option<&'a Spanned<T>>, Option<&'a Spanned<T>>),
    names: (&'static str, &'static str),
) -> Result<Option<&'a Spanned<T>>, ConfigError> {
    match (top, in_table) {
        (Some(_), Some(twice)) => Err(input.error_at(twice, Problem::Exclusive(names.0, names.1))),
        (top, in_table) => Ok(top.or(in_table)),
    }
}

/// How long setting a connection up may take, if the file says so.
fn proxy_timeout(
    input: &Input<'_>,
    places: (Option<&Text>, Option<&Text>),
) -> Result<Option<Duration>, ConfigError> {
    let raw = either(input, places, ("proxy_timeout", "limits.proxy_timeout"))?;
    time(input, raw, (seconds(1)..=seconds(600), "1s to 10m"))
}

/// How much a session may hold for those that rest, if the file says so.
fn stall_budget(
    input: &Input<'_>,
    places: (Option<&Text>, Option<&Text>),
) -> Result<Option<u64>, ConfigError> {
    let raw = either(input, places, ("stall_budget", "limits.stall_budget"))?;
    let reader = |text: &str| {
        size(text).and_then(|budget| {
            let range = "16MiB or more";
            let fits = budget >= LEAST_STALL_BUDGET;
            if fits { Ok(budget) } else { Err(Problem::OutOfRange { text: text.into(), range }) }
        })
    };
    input.pick(None, raw, reader)
}

/// How long a UDP flow lives on which nothing moves, if the file says so.
fn flow_idle(input: &Input<'_>, raw: Option<&Text>) -> Result<Option<Duration>, ConfigError> {
    time(input, raw, (seconds(1)..=seconds(86_400), "1s to 1d"))
}

/// How many parallel sessions a client has.
pub(super) fn replicas(
    input: &Input<'_>,
    flag: Option<u32>,
    raw: Option<&Spanned<i64>>,
) -> Result<u32, ConfigError> {
    match (flag, raw) {
        (Some(flag), _) => Ok(flag),
        (None, Some(raw)) => {
            let number = input.number(raw, (1..=64, "a number from 1 to 64"))?;
            Ok(u32::try_from(number).unwrap_or(1))
        }
        (None, None) => Ok(1),
    }
}

/// Without a word, as many as let small requests pass a download under loss (docs/performance.md).
pub(super) fn ws_connections(
    input: &Input<'_>,
    flag: Option<u32>,
    raw: Option<&Spanned<i64>>,
) -> Result<usize, ConfigError> {
    match (flag, raw) {
        (Some(flag), _) => Ok(usize::try_from(flag).unwrap_or(1)),
        (None, Some(raw)) => input.number(raw, (1..=8, "a number from 1 to 8")),
        (None, None) => Ok(4),
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
