//! Settings of users, shares, ingresses and forwards, as flags and files give them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod nothing;
mod support;

use std::time::Duration;

use anyproxy::{
    cli::{ClientArgs, GatewayArgs, LogArgs},
    config::ConfigError,
    groups::{Credential, GroupLimits},
    settings::{ClientSettings, DataDir, GatewaySettings},
    values::{ForwardFlag, ForwardProtocol, ProxyProtocol},
};
use nothing::Nothing;
use support::Place;

const TLS: &str = "certificate = \"../certs/gateway.crt\"\nkey = \"../certs/gateway.key\"\n";
const GROUP: &str = "[[group]]\nname = \"demo\"\nsecret_file = \"../certs/demo.secret\"\n";
const CLIENT: &str = "gateway = \"localhost:8443\"\ngroup = \"demo\"\n\
                      secret_file = \"../certs/demo.secret\"\n";

fn gateway(place: &Place, args: GatewayArgs, text: &str) -> Result<GatewaySettings, ConfigError> {
    let config = Some(place.write("configs/gateway.toml", &format!("{TLS}{text}")));
    let args = GatewayArgs { config, ..args };
    let loaded = GatewaySettings::load(&args, &LogArgs::default(), &mut Nothing)?;
    assert_eq!(loaded.warnings, []);
    Ok(loaded.settings)
}

fn client(place: &Place, args: ClientArgs, text: &str) -> Result<ClientSettings, ConfigError> {
    let config = Some(place.write("configs/client.toml", &format!("{CLIENT}{text}")));
    let args = ClientArgs { config, ..args };
    Ok(ClientSettings::load(&args, &LogArgs::default(), &mut Nothing)?.settings)
}

#[test]
fn by_default_there_is_no_more_than_was_asked_for() {
    let place = Place::new();
    let settings = gateway(&place, GatewayArgs::default(), GROUP).unwrap();
    assert!(settings.https.is_none());
    assert_eq!(settings.mixed, []);
    assert_eq!(settings.groups[0].limits, GroupLimits::default());
    assert_eq!(settings.data_dir, Some(DataDir::Default(place.path("configs/anyproxy-data"))));
    assert_eq!(settings.stored, []);
    assert!(!place.path("configs/anyproxy-data").exists());
    let client = client(&place, ClientArgs::default(), "").unwrap();
    assert_eq!((client.replicas, client.ws_connections), (1, 4));
}

#[test]
fn flags_of_the_gateway_win_over_its_file() {
    let place = Place::new();
    let text = format!(
        "https = \"127.0.0.1:1\"\nmixed = \"127.0.0.1:2\"\ndata_dir = \"../state\"\n{GROUP}"
    );
    let file = gateway(&place, GatewayArgs::default(), &text).unwrap();
    assert_eq!(file.https.unwrap().addrs, ["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(file.mixed, ["127.0.0.1:2".parse().unwrap()]);
    assert_eq!(file.data_dir, Some(DataDir::Named(place.path("configs/../state"))));
    let args = GatewayArgs {
        https: Some("off".parse().unwrap()),
        mixed: Some("[::1]:3".parse().unwrap()),
        data_dir: Some("here".into()),
        ..GatewayArgs::default()
    };
    let flags = gateway(&place, args, &text).unwrap();
    assert!(flags.https.is_none());
    assert_eq!(flags.mixed, ["[::1]:3".parse().unwrap()]);
    assert_eq!(flags.data_dir, Some(DataDir::Named("here".into())));
    let args = GatewayArgs {
        https_certificate: Some(place.path("certs/gateway.crt")),
        https_key: Some(place.path("certs/other.key")),
        ..GatewayArgs::default()
    };
    let error = gateway(&place, args, &text).unwrap_err();
    assert!(error.to_string().starts_with("--https-key: "), "{error}");
}

#[test]
fn a_group_has_its_share_and_its_users() {
    let place = Place::new();
    let share = "max_sessions = 4\nmax_connections = 1000\nmax_flows = 100\nbandwidth = \"10MB\"\n";
    let user = "[[group.user]]\nname = \"alice\"\npassword_file = \"../certs/user.password\"\n";
    let named = gateway(&place, GatewayArgs::default(), &format!("{GROUP}{share}{user}")).unwrap();
    let [group] = named.groups.as_slice() else { panic!("{named:?}") };
    let limits = GroupLimits {
        max_sessions: Some(4),
        max_connections: Some(1000),
        max_flows: Some(100),
        bandwidth: Some(10_000_000),
    };
    assert_eq!(group.limits, limits);
    // With users of their own, the clients' secret lets nobody in at the proxies.
    let [alice] = group.users.as_slice() else { panic!("{group:?}") };
    assert_eq!(alice.name, "alice");
    assert!(matches!(alice.password, Credential::Password(_)));

    let own = "password_file = \"../certs/user.password\"\n";
    let both = gateway(&place, GatewayArgs::default(), &format!("{GROUP}{own}{user}")).unwrap();
    let names: Vec<_> = both.groups[0].users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["alice", "demo"]);
}

#[test]
fn a_range_becomes_one_forward_for_each_port() {
    let place = Place::new();
    let text = "replicas = 4\nws_connections = 1\n[[forward]]\nname = \"web\"\nlisten = \"0.0.0.0:9000-9002\"\n\
                target = \"10.0.0.5:7000-7002\"\nproxy_protocol = \"v2\"\nidle_timeout = \"1h\"\n\
                stall_timeout = \"5m\"\n[[forward]]\nname = \"dns\"\nprotocol = \"udp\"\n\
                listen = \"9000\"\ntarget = \"dns.corp:53\"\n";
    let settings = client(&place, ClientArgs::default(), text).unwrap();
    assert_eq!((settings.replicas, settings.ws_connections), (4, 1));
    let shown: Vec<_> = settings
        .forwards
        .iter()
        .map(|forward| format!("{} {} {}", forward.name, forward.listen, forward.target))
        .collect();
    let expected = [
        "web-9000 0.0.0.0:9000 10.0.0.5:7000",
        "web-9001 0.0.0.0:9001 10.0.0.5:7001",
        "web-9002 0.0.0.0:9002 10.0.0.5:7002",
        "dns 127.0.0.1:9000 dns.corp:53",
    ];
    assert_eq!(shown, expected);
    let web = &settings.forwards[2];
    assert_eq!(web.protocol, ForwardProtocol::Tcp);
    assert_eq!(web.proxy_protocol, Some(ProxyProtocol::V2));
    assert_eq!(web.idle_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(web.stall_timeout, Some(Duration::from_secs(300)));
    let dns = &settings.forwards[3];
    assert_eq!((dns.protocol, dns.proxy_protocol), (ForwardProtocol::Udp, None));
    assert_eq!((dns.idle_timeout, dns.stall_timeout), (None, None));
}

#[test]
fn forwards_of_the_command_line_replace_those_of_the_file() {
    let place = Place::new();
    let text = "replicas = 2\n[[forward]]\nname = \"x\"\nlisten = \"1\"\ntarget = \"a:1\"\n";
    let flags = |texts: &[&str]| ClientArgs {
        forward: texts.iter().map(|text| text.parse::<ForwardFlag>().unwrap()).collect(),
        replicas: Some(3),
        ..ClientArgs::default()
    };
    let args = flags(&["8000:db:5432", "udp:0.0.0.0:8000-8001:dns:53-54", "0:a:1", "0:b:2"]);
    let settings = client(&place, args, text).unwrap();
    assert_eq!(settings.replicas, 3);
    let names: Vec<_> = settings.forwards.iter().map(|forward| forward.name.as_str()).collect();
    let expected =
        ["127.0.0.1:8000", "udp:0.0.0.0:8000", "udp:0.0.0.0:8001", "127.0.0.1:0", "127.0.0.1:0"];
    assert_eq!(names, expected);
    for (texts, part) in [
        (&["8000:a:1", "8000:b:2"][..], "`127.0.0.1:8000` is defined twice"),
        (&["0.0.0.0:1-1024:a:1-1024", "2000:a:1"], "more than 1024 ports"),
    ] {
        let error = client(&place, flags(texts), text).unwrap_err().to_string();
        assert!(error.starts_with("--forward: ") && error.contains(part), "{error}");
    }
    client(&place, flags(&["8000:a:1", "udp:8000:a:1"]), text).unwrap();
}
