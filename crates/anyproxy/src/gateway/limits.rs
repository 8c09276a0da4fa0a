//! A gateway's bounds, as settings and file descriptors allow.

use anyproxy_gateway::Limits;

use crate::{files, settings::GatewayLimits};

/// What was chosen, within what `files` descriptors are enough for: no kind of connection may use up
/// those of another, and an eighth is left for listeners, look-ups and the log. A forwarded port counts twice
/// in it: at most one user waits there, accepted, for a place among `max_users`.
pub(super) fn within(chosen: &GatewayLimits, files: usize) -> Limits {
    let default = Limits::default();
    let cut = |key, numbers, eighths| files::within(key, numbers, (files / 8) * eighths);
    let handshakes = (chosen.max_handshakes, default.max_handshakes);
    let max_handshakes = cut("max_handshakes", handshakes, 1);
    // A session does without further tunnels, so they have few of many.
    let further = files / 64;
    let users = (files / 8 * 5).saturating_sub(further);
    let max_users = files::within("max_users", (chosen.max_users, default.max_users), users);
    let max_sessions = cut("max_sessions", (chosen.max_sessions, default.max_sessions), 1);
    let forwards = (chosen.max_forwards, default.max_forwards);
    let ports = files / 16;
    Limits {
        proxy_timeout: chosen.proxy_timeout,
        stall_budget: chosen.stall_budget,
        max_streams: chosen.max_streams,
        handshake_timeout: chosen.handshake_timeout,
        max_handshakes,
        max_handshakes_per_address: chosen
            .max_handshakes_per_address
            .unwrap_or((max_handshakes / 2).max(1)),
        max_unproven: chosen.max_unproven,
        max_sessions,
        max_beside: default.max_beside.min(further),
        max_users,
        max_users_per_address: chosen.max_users_per_address.unwrap_or((max_users / 2).max(1)),
        max_forwards: files::within("max_forwards", forwards, ports),
        max_ports: default.max_ports.min(ports).max(1),
        max_flows: chosen.max_flows,
        max_port_flows: chosen.max_port_flows,
        flow_idle: chosen.flow_idle,
        bandwidth: chosen.bandwidth,
        ping_interval: chosen.ping_interval,
        dead_after: chosen.dead_after,
        ..default
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values;

    fn by_default() -> GatewayLimits {
        let default = Limits::default();
        GatewayLimits {
            drain: values::duration("10s").unwrap(),
            proxy_timeout: default.proxy_timeout,
            stall_budget: default.stall_budget,
            max_streams: default.max_streams,
            handshake_timeout: default.handshake_timeout,
            max_handshakes: None,
            max_handshakes_per_address: None,
            max_unproven: default.max_unproven,
            max_sessions: None,
            max_users: None,
            max_users_per_address: None,
            max_forwards: None,
            max_flows: default.max_flows,
            max_port_flows: default.max_port_flows,
            flow_idle: default.flow_idle,
            bandwidth: None,
            ping_interval: default.ping_interval,
            dead_after: default.dead_after,
        }
    }

    #[test]
    fn with_descriptors_enough_the_defaults_are_the_gateways_own() {
        assert_eq!(within(&by_default(), usize::MAX), Limits::default());
    }

    #[test]
    fn choices_are_taken_while_there_are_descriptors() {
        let chosen = GatewayLimits {
            max_handshakes: Some(7),
            max_handshakes_per_address: Some(3),
            max_sessions: Some(8),
            max_users: Some(900),
            max_users_per_address: Some(5),
            max_forwards: Some(10),
            ..by_default()
        };
        let limits = within(&chosen, 1_000_000);
        assert_eq!((limits.max_handshakes, limits.max_sessions), (7, 8));
        assert_eq!(limits.max_handshakes_per_address, 3);
        assert_eq!((limits.max_users, limits.max_users_per_address), (900, 5));
        assert_eq!(limits.max_forwards, 10);
    }

    #[test]
    fn few_descriptors_cut_choices_and_defaults() {
        let chosen = GatewayLimits { max_users: Some(5_000), ..by_default() };
        for limits in [within(&chosen, 1024), within(&by_default(), 1024)] {
            assert_eq!((limits.max_users, limits.max_users_per_address), (624, 312));
            assert_eq!((limits.max_handshakes, limits.max_sessions), (128, 128));
            assert_eq!(limits.max_handshakes_per_address, 64);
            assert_eq!((limits.max_forwards, limits.max_ports), (64, 64));
            assert_eq!(limits.max_beside, 16);
        }
        assert_eq!(within(&chosen, 0).max_users, 1, "never none");
    }
}
