//! Bounds of time and memory that both sides have.

use std::time::Duration;

use anyproxy_gateway::GroupLimits;
use toml::Spanned;

use super::input::Input;
use crate::{
    config::{
        ConfigError, Problem,
        raw::{RawGroup, Text},
    },
    values::{MOST_COUNTED, bandwidth, duration, size},
};

/// How long live connections may go on at shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// How long setting a proxied connection up may take.
const PROXY_TIMEOUT: Duration = Duration::from_secs(30);
/// How much a session may hold for readers that rest.
const STALL_BUDGET: u64 = 256 << 20;
/// The least stall budget: one connection's largest window, below which it could not fill.
const LEAST_STALL_BUDGET: u64 = 16 << 20;
/// Live connections in one session.
const MAX_STREAMS: u32 = 4_096;

/// Bounds of time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long live connections may go on at shutdown; zero: not at all.
    pub drain: Duration,
    /// How long setting a connection up may take, in all its steps together.
    pub proxy_timeout: Duration,
    /// How many bytes a session may hold for readers that rest.
    pub stall_budget: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { drain: DRAIN, proxy_timeout: PROXY_TIMEOUT, stall_budget: STALL_BUDGET }
    }
}

impl Limits {
    /// Joins the flag and the texts of the file: drain, proxy timeout, stall budget.
    pub(super) fn build(
        input: &Input<'_>,
        drain: Option<Duration>,
        raw: (&Option<Text>, &Option<Text>, &Option<Text>),
    ) -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            drain: input.pick(drain, raw.0.as_ref(), duration)?.unwrap_or(default.drain),
            proxy_timeout: input
                .pick(None, raw.1.as_ref(), proxy_timeout)?
                .unwrap_or(default.proxy_timeout),
            stall_budget: input
                .pick(None, raw.2.as_ref(), stall_budget)?
                .unwrap_or(default.stall_budget),
        })
    }
}

fn proxy_timeout(text: &str) -> Result<Duration, Problem> {
    let least = Duration::from_secs(1);
    let most = Duration::from_secs(10 * 60);
    duration(text).and_then(|timeout| {
        let range = "1s to 10m";
        let fits = (least..=most).contains(&timeout);
        if fits { Ok(timeout) } else { Err(Problem::OutOfRange { text: text.into(), range }) }
    })
}

fn stall_budget(text: &str) -> Result<u64, Problem> {
    size(text).and_then(|budget| {
        let range = "16MiB or more";
        let fits = budget >= LEAST_STALL_BUDGET;
        if fits { Ok(budget) } else { Err(Problem::OutOfRange { text: text.into(), range }) }
    })
}

/// How many live connections a session may have.
pub(super) fn max_streams(
    input: &Input<'_>,
    raw: Option<&Spanned<i64>>,
) -> Result<u32, ConfigError> {
    let Some(raw) = raw else { return Ok(MAX_STREAMS) };
    let number = input.number(raw, (1..=65_536, "a number from 1 to 65536"))?;
    Ok(u32::try_from(number).unwrap_or(MAX_STREAMS))
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

/// What a group may take of the gateway.
pub(super) fn of_group(input: &Input<'_>, raw: &RawGroup) -> Result<GroupLimits, ConfigError> {
    let words = "a number from 1 to 1000000; leave it out for no limit";
    let count = |raw: &Option<Spanned<i64>>| {
        raw.as_ref().map(|raw| input.number(raw, (1..=MOST_COUNTED, words))).transpose()
    };
    Ok(GroupLimits {
        max_sessions: count(&raw.max_sessions)?,
        max_connections: count(&raw.max_connections)?,
        max_flows: count(&raw.max_flows)?,
        bandwidth: input.pick(None, raw.bandwidth.as_ref(), bandwidth)?,
    })
}
