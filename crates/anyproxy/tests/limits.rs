//! Every bound is a setting: its default, its value in a file, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "limits/documented.rs"]
mod documented;
mod nothing;
mod support;

use std::time::Duration;

use anyproxy::{
    cli::{ClientArgs, GatewayArgs, LogArgs},
    config::ConfigError,
    settings::{ClientLimits, ClientSettings, GatewayLimits, GatewaySettings},
};
use nothing::Nothing;
use support::Place;

const GATEWAY: &str = "certificate = \"../certs/gateway.crt\"\nkey = \"../certs/gateway.key\"\n";
const GROUP: &str = "[[group]]\nname = \"demo\"\nsecret_file = \"../certs/demo.secret\"\n";
const CLIENT: &str = "gateway = \"localhost:8443\"\ngroup = \"demo\"\n\
                      secret_file = \"../certs/demo.secret\"\n";

/// The limits of a gateway with these lines before its tables, and these in `[limits]`.
fn gateway(place: &Place, top: &str, table: &str) -> Result<GatewayLimits, ConfigError> {
    let text = format!("{GATEWAY}{top}\n[limits]\n{table}\n{GROUP}");
    let config = Some(place.write("configs/gateway.toml", &text));
    let args = GatewayArgs { config, ..GatewayArgs::default() };
    let loaded = GatewaySettings::load(&args, &LogArgs::default(), &mut Nothing)?;
    Ok(loaded.settings.limits)
}

fn client(place: &Place, top: &str, table: &str) -> Result<ClientLimits, ConfigError> {
    let config =
        Some(place.write("configs/client.toml", &format!("{CLIENT}{top}\n[limits]\n{table}\n")));
    let args = ClientArgs { config, ..ClientArgs::default() };
    let loaded = ClientSettings::load(&args, &LogArgs::default(), &mut Nothing)?;
    Ok(loaded.settings.limits)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_gateway_has_the_documented_defaults() {
    let expected = GatewayLimits {
        drain: seconds(10),
        proxy_timeout: seconds(30),
        stall_budget: 256 << 20,
        max_streams: 4096,
        handshake_timeout: seconds(10),
        max_handshakes: None,
        max_handshakes_per_address: None,
        max_unproven: 256,
        max_sessions: None,
        max_users: None,
        max_users_per_address: None,
        max_forwards: None,
        max_flows: 16_384,
        max_port_flows: 1024,
        flow_idle: seconds(60),
        bandwidth: None,
        ping_interval: seconds(10),
        dead_after: seconds(30),
    };
    assert_eq!(gateway(&Place::new(), "", "").unwrap(), expected);
    let own = anyproxy_gateway::Limits::default();
    let numbers = (own.max_handshakes, own.max_sessions, own.max_users, own.max_forwards);
    assert_eq!(numbers, (1024, 4096, 65_536, 1024), "what `None` stands for");
    assert_eq!((own.max_users_per_address, own.max_handshakes_per_address), (32_768, 512));
}

#[test]
fn a_client_has_the_documented_defaults() {
    let expected = ClientLimits {
        drain: seconds(10),
        proxy_timeout: seconds(30),
        stall_budget: 256 << 20,
        max_flows: None,
        flow_idle: seconds(60),
        first_pause: Duration::from_millis(500),
        longest_pause: seconds(30),
        max_tunnel_age: None,
    };
    assert_eq!(client(&Place::new(), "", "").unwrap(), expected);
    assert_eq!(anyproxy_client::Limits::default().max_flows, 4096, "what `None` stands for");
}

#[test]
fn a_gateways_file_sets_each() {
    let table = "proxy_timeout = \"5s\"\nstall_budget = \"32MiB\"\nmax_streams = 11\n\
                 max_handshakes = 12\nmax_sessions = 13\nmax_users = 14\n\
                 max_users_per_address = 15\nmax_forwards = 16\nmax_flows = 17\n\
                 max_port_flows = 18\nflow_idle = \"90s\"\nbandwidth = \"10MB\"\n\
                 ping_interval = \"4s\"\ndead_after = \"9s\"\nhandshake_timeout = \"3s\"\n\
                 max_handshakes_per_address = 19\nmax_unproven = 0";
    let expected = GatewayLimits {
        drain: seconds(1),
        proxy_timeout: seconds(5),
        stall_budget: 32 << 20,
        max_streams: 11,
        handshake_timeout: seconds(3),
        max_handshakes: Some(12),
        max_handshakes_per_address: Some(19),
        max_unproven: 0,
        max_sessions: Some(13),
        max_users: Some(14),
        max_users_per_address: Some(15),
        max_forwards: Some(16),
        max_flows: 17,
        max_port_flows: 18,
        flow_idle: seconds(90),
        bandwidth: Some(10_000_000),
        ping_interval: seconds(4),
        dead_after: seconds(9),
    };
    assert_eq!(gateway(&Place::new(), "drain = \"1s\"", table).unwrap(), expected);
}

#[test]
fn a_clients_file_sets_each() {
    let table = "proxy_timeout = \"5s\"\nstall_budget = \"32MiB\"\nmax_flows = 17\n\
                 flow_idle = \"90s\"\nfirst_pause = \"1s\"\nlongest_pause = \"2m\"\nmax_tunnel_age = \"1h\"";
    let expected = ClientLimits {
        drain: seconds(1),
        proxy_timeout: seconds(5),
        stall_budget: 32 << 20,
        max_flows: Some(17),
        flow_idle: seconds(90),
        first_pause: seconds(1),
        longest_pause: seconds(120),
        max_tunnel_age: Some(seconds(3600)),
    };
    assert_eq!(client(&Place::new(), "drain = \"1s\"", table).unwrap(), expected);
}

#[test]
fn older_places_of_some_keys_still_hold_but_not_both() {
    let place = Place::new();
    let top = "proxy_timeout = \"5s\"\nstall_budget = \"32MiB\"\nmax_streams = 11";
    let limits = gateway(&place, top, "").unwrap();
    assert_eq!((limits.proxy_timeout, limits.stall_budget), (seconds(5), 32 << 20));
    assert_eq!(limits.max_streams, 11);
    for line in top.lines() {
        let key = line.split(' ').next().unwrap();
        let said = explained(&gateway(&place, line, line).unwrap_err());
        assert!(said.contains(&format!("`{key}` and `limits.{key}` exclude each other")), "{said}");
        if key != "max_streams" {
            assert!(client(&place, line, "").is_ok());
            assert!(client(&place, line, line).is_err());
        }
    }
}

/// The keys that are numbers, with what their error says is right.
const NUMBERS: [(&str, &str); 10] = [
    ("max_streams", "1 to 16384"),
    ("max_handshakes", "1 to 1000000"),
    ("max_handshakes_per_address", "1 to 1000000"),
    ("max_unproven", "0 to 1000000"),
    ("max_sessions", "1 to 1000000"),
    ("max_users", "1 to 1000000"),
    ("max_users_per_address", "1 to 1000000"),
    ("max_forwards", "1 to 65535"),
    ("max_flows", "1 to 1000000"),
    ("max_port_flows", "1 to 1000000"),
];

#[test]
fn a_gateways_bounds_are_bounded() {
    let place = Place::new();
    for (key, range) in NUMBERS {
        let (least, most) = range.split_once(" to ").unwrap();
        for fits in [least, most] {
            gateway(&place, "", &format!("{key} = {fits}")).unwrap();
        }
        let below = least.parse::<i64>().unwrap() - 1;
        let above = most.parse::<i64>().unwrap() + 1;
        for wrong in [below.to_string(), "-7".into(), above.to_string()] {
            refused(&gateway(&place, "", &format!("{key} = {wrong}")), &wrong, range);
        }
    }
    for (key, wrong, range) in [
        ("proxy_timeout", "999ms", "1s to 10m"),
        ("proxy_timeout", "601s", "1s to 10m"),
        ("handshake_timeout", "999ms", "1s to 1m"),
        ("handshake_timeout", "61s", "1s to 1m"),
        ("stall_budget", "1MiB", "16MiB or more"),
        ("flow_idle", "0", "1s to 1d"),
        ("flow_idle", "2d", "1s to 1d"),
        ("bandwidth", "10", "1kB (a second) or more"),
        ("ping_interval", "999ms", "1s to 50s"),
        ("ping_interval", "51s", "1s to 50s"),
        ("dead_after", "2s", "3s to 2m"),
        ("dead_after", "121s", "3s to 2m"),
    ] {
        refused(&gateway(&place, "", &format!("{key} = \"{wrong}\"")), wrong, range);
    }
}

#[test]
fn a_clients_bounds_are_bounded() {
    let place = Place::new();
    for wrong in ["0", "-1", "1000001"] {
        refused(&client(&place, "", &format!("max_flows = {wrong}")), wrong, "1 to 1000000");
    }
    for (key, wrong, range) in [
        ("proxy_timeout", "999ms", "1s to 10m"),
        ("stall_budget", "1MiB", "16MiB or more"),
        ("flow_idle", "0", "1s to 1d"),
        ("first_pause", "99ms", "100ms to 1m"),
        ("first_pause", "61s", "100ms to 1m"),
        ("longest_pause", "999ms", "1s to 1h"),
        ("longest_pause", "2h", "1s to 1h"),
        ("max_tunnel_age", "9s", "10s to 30d"),
        ("max_tunnel_age", "31d", "10s to 30d"),
    ] {
        refused(&client(&place, "", &format!("{key} = \"{wrong}\"")), wrong, range);
    }
}

/// One lost Ping must not end a session.
#[test]
fn a_peer_is_not_dead_before_two_pings_could_be_answered() {
    let place = Place::new();
    for (table, line) in [
        ("ping_interval = \"15s\"", "ping_interval"),
        ("dead_after = \"20s\"", "dead_after"),
        ("ping_interval = \"10s\"\ndead_after = \"20s\"", "dead_after"),
    ] {
        let error = gateway(&place, "", table).unwrap_err();
        let said = explained(&error);
        assert!(said.contains("set `dead_after` to more than"), "{said}");
        assert!(error.excerpt().unwrap().contains(line), "{said}");
    }
    gateway(&place, "", "ping_interval = \"14s\"").unwrap();
    gateway(&place, "", "dead_after = \"21s\"").unwrap();
}

#[test]
fn pauses_do_not_shrink() {
    let place = Place::new();
    for table in ["first_pause = \"31s\"", "first_pause = \"5s\"\nlongest_pause = \"4s\""] {
        let said = explained(&client(&place, "", table).unwrap_err());
        assert!(said.contains("set `longest_pause` to"), "{said}");
    }
    client(&place, "", "first_pause = \"5s\"\nlongest_pause = \"5s\"").unwrap();
}

#[test]
fn a_key_of_the_other_side_is_named() {
    let place = Place::new();
    let said = explained(&client(&place, "", "max_sessions = 4").unwrap_err());
    assert!(said.contains("unknown key `max_sessions`"), "{said}");
    let said = explained(&gateway(&place, "", "longest_pause = \"4s\"").unwrap_err());
    assert!(said.contains("unknown key `longest_pause`"), "{said}");
}

fn refused<T: std::fmt::Debug>(result: &Result<T, ConfigError>, text: &str, range: &str) {
    let said = explained(result.as_ref().unwrap_err());
    assert!(said.contains(&format!("`{text}` is out of range")) && said.contains(range), "{said}");
}

fn explained(error: &ConfigError) -> String {
    format!("{error}\n{}", error.fix().unwrap_or_default())
}
