//! Bounds of a client.

use std::{ops::RangeInclusive, time::Duration};

use anyproxy_client::Limits;

use super::{COUNT, DRAIN, flow_idle, number, proxy_timeout, seconds, stall_budget, time};
use crate::{
    config::{ConfigError, Problem, raw::RawClient},
    settings::input::Input,
    values::duration,
};

/// How old a tunnel may get: a new one every few seconds would serve nobody.
const TUNNEL_AGE: (RangeInclusive<Duration>, &str) =
    (seconds(10)..=seconds(30 * 86_400), "10s to 30d");

/// Bounds of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// How long live connections may go on at shutdown; zero: not at all.
    pub drain: Duration,
    /// How long connecting to the gateway may take, and dialling a target.
    pub proxy_timeout: Duration,
    /// How many bytes a session may hold for targets that rest.
    pub stall_budget: u64,
    /// Live UDP flows; `None`: it depends on how many descriptors there are.
    pub max_flows: Option<usize>,
    /// How long a UDP flow lives on which nothing moves.
    pub flow_idle: Duration,
    /// The longest that the first pause between two attempts to connect can be.
    pub first_pause: Duration,
    /// The longest that any can be.
    pub longest_pause: Duration,
    /// How old a tunnel may get; `None`: what is learnt.
    pub max_tunnel_age: Option<Duration>,
}

impl ClientLimits {
    /// Joins the flag and the file.
    pub(in crate::settings) fn build(
        input: &Input<'_>,
        drain: Option<Duration>,
        raw: &RawClient,
    ) -> Result<Self, ConfigError> {
        let (table, default) = (&raw.limits, Limits::default());
        let timeouts = (raw.proxy_timeout.as_ref(), table.proxy_timeout.as_ref());
        let budgets = (raw.stall_budget.as_ref(), table.stall_budget.as_ref());
        let (first_pause, longest_pause) = pauses(input, raw)?;
        Ok(Self {
            drain: input.pick(drain, raw.drain.as_ref(), duration)?.unwrap_or(DRAIN),
            proxy_timeout: proxy_timeout(input, timeouts)?.unwrap_or(default.proxy_timeout),
            stall_budget: stall_budget(input, budgets)?.unwrap_or(default.stall_budget),
            max_flows: number(input, table.max_flows.as_ref(), COUNT)?,
            flow_idle: flow_idle(input, table.flow_idle.as_ref())?.unwrap_or(default.flow_idle),
            first_pause,
            longest_pause,
            max_tunnel_age: time(input, table.max_tunnel_age.as_ref(), TUNNEL_AGE)?,
        })
    }
}

/// The pauses between attempts to connect. They grow, so the longest is not shorter than the first.
fn pauses(input: &Input<'_>, raw: &RawClient) -> Result<(Duration, Duration), ConfigError> {
    let (table, default) = (&raw.limits, Limits::default());
    let (first, longest) = (table.first_pause.as_ref(), table.longest_pause.as_ref());
    let least = Duration::from_millis(100);
    let first_pause =
        time(input, first, (least..=seconds(60), "100ms to 1m"))?.unwrap_or(default.first_pause);
    let longest_pause = time(input, longest, (seconds(1)..=seconds(3_600), "1s to 1h"))?
        .unwrap_or(default.longest_pause);
    match longest.or(first) {
        Some(place) if longest_pause < first_pause => {
            let what = format!(
                "the longest pause, {longest_pause:?}, is shorter than the first, {first_pause:?}"
            );
            let fix = format!("set `longest_pause` to {first_pause:?} or more");
            Err(input.error_at(place, Problem::Refused { what, fix }))
        }
        Some(_) | None => Ok((first_pause, longest_pause)),
    }
}
