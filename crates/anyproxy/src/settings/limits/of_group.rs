//! What a group may take of the gateway.

use anyproxy_gateway::GroupLimits;
use toml::Spanned;

use crate::{
    config::{ConfigError, raw::RawGroup},
    settings::input::Input,
    values::{MOST_COUNTED, bandwidth},
};

/// What a group may take of the gateway.
pub(in crate::settings) fn of_group(
    input: &Input<'_>,
    raw: &RawGroup,
) -> Result<GroupLimits, ConfigError> {
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
