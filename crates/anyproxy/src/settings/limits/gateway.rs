//! Bounds of a gateway.

use std::time::Duration;

use anyproxy_gateway::Limits;

use super::{COUNT, DRAIN, either, flow_idle, number, proxy_timeout, seconds, stall_budget, time};
use crate::{
    config::{ConfigError, Problem, raw::RawGateway},
    settings::input::Input,
    values::bandwidth,
};

/// Bounds of a gateway. Numbers that cost descriptors are `None` where nobody chose one: then it
/// depends on how many descriptors there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayLimits {
    /// How long live connections may go on at shutdown; zero: not at all.
    pub drain: Duration,
    /// How long setting a connection up may take, in all its steps together.
    pub proxy_timeout: Duration,
    /// How many bytes a session may hold for readers that rest.
    pub stall_budget: u64,
    /// Live connections in one session.
    pub max_streams: usize,
    /// How long a stranger may take to say who it is.
    pub handshake_timeout: Duration,
    /// Handshakes of clients under way.
    pub max_handshakes: Option<usize>,
    /// Those of one address; half of `max_handshakes` where nobody chose.
    pub max_handshakes_per_address: Option<usize>,
    /// Those of QUIC peers that have not proven their addresses.
    pub max_unproven: usize,
    /// Live sessions.
    pub max_sessions: Option<usize>,
    /// Live connections of users, over all entry points.
    pub max_users: Option<usize>,
    /// Those of one address; half of `max_users` where nobody chose.
    pub max_users_per_address: Option<usize>,
    /// Forwarded ports of one session.
    pub max_forwards: Option<usize>,
    /// Live UDP flows.
    pub max_flows: usize,
    /// Those of one forwarded port.
    pub max_port_flows: usize,
    /// How long a UDP flow lives on which nothing moves.
    pub flow_idle: Duration,
    /// Bytes a second, each way; `None`: no bound.
    pub bandwidth: Option<u64>,
    /// Silence after which a side sends a Ping.
    pub ping_interval: Duration,
    /// Silence after which a peer is dead; more than twice the interval.
    pub dead_after: Duration,
}

impl GatewayLimits {
    /// Joins the flag and the file.
    pub(in crate::settings) fn build(
        input: &Input<'_>,
        drain: Option<Duration>,
        raw: &RawGateway,
    ) -> Result<Self, ConfigError> {
        let (table, default) = (&raw.limits, Limits::default());
        let timeouts = (raw.proxy_timeout.as_ref(), table.proxy_timeout.as_ref());
        let budgets = (raw.stall_budget.as_ref(), table.stall_budget.as_ref());
        let (ping_interval, dead_after) = liveness(input, raw)?;
        Ok(Self {
            drain: input.pick(drain, raw.drain.as_ref(), crate::values::duration)?.unwrap_or(DRAIN),
            proxy_timeout: proxy_timeout(input, timeouts)?.unwrap_or(default.proxy_timeout),
            stall_budget: stall_budget(input, budgets)?.unwrap_or(default.stall_budget),
            max_streams: max_streams(input, raw)?.unwrap_or(default.max_streams),
            handshake_timeout: time(input, table.handshake_timeout.as_ref(), HANDSHAKE)?
                .unwrap_or(default.handshake_timeout),
            max_handshakes: number(input, table.max_handshakes.as_ref(), COUNT)?,
            max_handshakes_per_address: number(
                input,
                table.max_handshakes_per_address.as_ref(),
                COUNT,
            )?,
            max_unproven: number(input, table.max_unproven.as_ref(), OR_NONE)?
                .unwrap_or(default.max_unproven),
            max_sessions: number(input, table.max_sessions.as_ref(), COUNT)?,
            max_users: number(input, table.max_users.as_ref(), COUNT)?,
            max_users_per_address: number(input, table.max_users_per_address.as_ref(), COUNT)?,
            max_forwards: number(input, table.max_forwards.as_ref(), FORWARDS)?,
            max_flows: number(input, table.max_flows.as_ref(), COUNT)?.unwrap_or(default.max_flows),
            max_port_flows: number(input, table.max_port_flows.as_ref(), COUNT)?
                .unwrap_or(default.max_port_flows),
            flow_idle: flow_idle(input, table.flow_idle.as_ref())?.unwrap_or(default.flow_idle),
            bandwidth: input.pick(None, table.bandwidth.as_ref(), bandwidth)?,
            ping_interval,
            dead_after,
        })
    }
}

/// A slow link needs its round trips; a stranger who is silent for a minute is none.
const HANDSHAKE: (std::ops::RangeInclusive<Duration>, &str) =
    (seconds(1)..=seconds(60), "1s to 1m");

/// As most numbers, and zero.
const OR_NONE: (std::ops::RangeInclusive<usize>, &str) =
    (0..=crate::values::MOST_COUNTED, "a number from 0 to 1000000");

/// What a client takes of its gateway over QUIC; beyond it, an open would wait for another to end.
const STREAMS: (std::ops::RangeInclusive<usize>, &str) = (1..=16_384, "a number from 1 to 16384");

/// As many as there are ports.
const FORWARDS: (std::ops::RangeInclusive<usize>, &str) = (1..=65_535, "a number from 1 to 65535");

fn max_streams(input: &Input<'_>, raw: &RawGateway) -> Result<Option<usize>, ConfigError> {
    let places = (raw.max_streams.as_ref(), raw.limits.max_streams.as_ref());
    let raw = either(input, places, ("max_streams", "limits.max_streams"))?;
    number(input, raw, STREAMS)
}

/// When to ping and when a peer is dead. One lost Ping must not end a session, so two have to fit.
fn liveness(input: &Input<'_>, raw: &RawGateway) -> Result<(Duration, Duration), ConfigError> {
    let (table, default) = (&raw.limits, Limits::default());
    let ping = table.ping_interval.as_ref();
    let dead = table.dead_after.as_ref();
    let ping_interval = time(input, ping, (seconds(1)..=seconds(50), "1s to 50s"))?
        .unwrap_or(default.ping_interval);
    let dead_after =
        time(input, dead, (seconds(3)..=seconds(120), "3s to 2m"))?.unwrap_or(default.dead_after);
    match dead.or(ping) {
        Some(place) if dead_after <= ping_interval * 2 => {
            let what = format!(
                "a peer would be dead after {dead_after:?} of silence, with a ping each \
                 {ping_interval:?}: one that is lost would end its session"
            );
            let fix = format!("set `dead_after` to more than {:?}", ping_interval * 2);
            Err(input.error_at(place, Problem::Refused { what, fix }))
        }
        Some(_) | None => Ok((ping_interval, dead_after)),
    }
}
