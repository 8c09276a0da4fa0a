//! Tests of the command line.

use std::time::Duration;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};

use super::*;
use crate::values::{Bound, ClientTransport, GatewayTransport, Method};

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_gateway_flag() {
    let cli = parse(
        "anyproxy gateway -c g.toml --listen [::]:9443 --transport ws --http 127.0.0.1:1,[::1]:2 \
         --socks5 off --https [::]:8444 --https-certificate hc --https-key hk --mixed 127.0.0.1:3 \
         --data-dir d --drain 5 --certificate c --key k -l debug --log-format json --log-file f",
    )
    .unwrap();
    let Command::Gateway(args) = &cli.command else { panic!("{cli:?}") };
    assert_eq!(args.listen, Some("[::]:9443".parse().unwrap()));
    assert_eq!(args.transport, Some(GatewayTransport::Ws));
    assert_eq!(args.http.as_ref().unwrap().0.len(), 2);
    assert_eq!(args.socks5.as_ref().unwrap().0, []);
    assert_eq!(args.https.as_ref().unwrap().0, ["[::]:8444".parse().unwrap()]);
    assert_eq!(args.mixed.as_ref().unwrap().0.len(), 1);
    assert_eq!(args.data_dir.as_deref(), Some("d".as_ref()));
    assert_eq!(args.drain, Some(Duration::from_secs(5)));
    assert_eq!(cli.log.log_level.as_deref(), Some("warn,anyproxy=debug"));
    assert_eq!(cli.log.log_format, Some(LogFormat::Json));
}

#[test]
fn every_client_flag() {
    let pin = format!("sha256:{}", "ab".repeat(32));
    let cli = parse(&format!(
        "anyproxy --log-level warn client -g [2001:db8::1]:8443 --transport ws --pin {pin} \
         --server-name gw.example.com --group demo --client-id c --method password \
         --secret-stdin --forward 127.0.0.1:8000=db:5432 --forward udp:53:dns:53 --replicas 4 --allow 10.0.0.0/8 \
         --deny *.corp,192.0.2.1 --drain 250ms",
    ))
    .unwrap();
    let Command::Client(line) = cli.command else { panic!("{cli:?}") };
    let args = line.client;
    assert_eq!(args.gateway.unwrap().to_string(), "[2001:db8::1]:8443");
    assert_eq!(args.transport, Some(ClientTransport::Ws));
    assert_eq!(args.pin.unwrap().to_string(), pin);
    assert_eq!(args.method, Some(Method::Password));
    assert_eq!(args.forward.len(), 2);
    assert_eq!(args.replicas, Some(4));
    assert_eq!(args.deny, ["*.corp", "192.0.2.1"]);
    assert_eq!(args.drain, Some(Duration::from_millis(250)));
    assert!(args.secret_stdin);
}

#[test]
fn a_wrong_value_names_the_flag_and_a_right_value() {
    for (line, parts) in [
        ("anyproxy gateway --listen localhost:8443", ["--listen", "127.0.0.1:8080"]),
        ("anyproxy gateway --http 8088", ["--http", "127.0.0.1:8080"]),
        ("anyproxy gateway --drain soon", ["--drain", "30s"]),
        ("anyproxy gateway --transport udp", ["--transport", "quic"]),
        ("anyproxy client --gateway gw.example.com:", ["--gateway", "gw.example.com:8443"]),
        ("anyproxy client --pin abc", ["--pin", "anyproxy certs"]),
        ("anyproxy client --forward 8000", ["--forward", "127.0.0.1:9000"]),
        ("anyproxy client --replicas 65", ["--replicas", "1..=64"]),
        ("anyproxy client --forward 9000-9010:a:9000", ["--forward", "as many ports"]),
        ("anyproxy client --group a:b", ["--group", "letters"]),
        ("anyproxy group add a:b", ["NAME", "letters"]),
        ("anyproxy group add a --max-flows 0", ["--max-flows", "1 to 1000000"]),
        ("anyproxy group set a --bandwidth 10Mbit", ["--bandwidth", "256MiB"]),
        ("anyproxy group set a --forwards http", ["--forwards", "9000-9010"]),
        ("anyproxy group passwd a --user b:c", ["--user", "alice"]),
        ("anyproxy client -l inof", ["--log-level", "info"]),
    ] {
        let error = parse(line).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{line}: {error}");
    }
}

#[test]
fn flags_that_exclude_each_other() {
    let pin = format!("sha256:{}", "00".repeat(32));
    for line in [
        format!("anyproxy client --ca f --pin {pin}"),
        "anyproxy client --secret-stdin --secret-file f".to_owned(),
        "anyproxy hash-password --generate --verifier".to_owned(),
        "anyproxy group passwd a --generate --remove".to_owned(),
        "anyproxy group passwd a --remove --secret-out f".to_owned(),
    ] {
        assert_eq!(parse(&line).unwrap_err().kind(), ErrorKind::ArgumentConflict, "{line}");
    }
}

#[test]
fn every_group_command() {
    let cli = parse(
        "anyproxy group -c g.toml add team --forwards 8000,9000-9010 --max-sessions 2 \
         --max-connections 100 --max-flows none --bandwidth 10MB --secret-out team.secret",
    )
    .unwrap();
    let Command::Group(args) = &cli.command else { panic!("{cli:?}") };
    assert_eq!(args.config.as_deref(), Some("g.toml".as_ref()));
    let GroupCommand::Add(args) = &args.command else { panic!("{args:?}") };
    assert_eq!((args.name.as_str(), args.share.forwards.as_ref().unwrap().0.len()), ("team", 2));
    assert_eq!(args.share.max_sessions, Some(Bound(Some(2))));
    assert_eq!(args.share.max_flows, Some(Bound(None)));
    assert_eq!(args.share.bandwidth, Some(Bound(Some(10_000_000))));
    assert_eq!(args.out.secret_out.as_deref(), Some("team.secret".as_ref()));
    // Its own flags stand before or behind the command.
    let cli = parse("anyproxy group passwd team --user alice --data-dir d").unwrap();
    let Command::Group(args) = &cli.command else { panic!("{cli:?}") };
    assert_eq!(args.data_dir.as_deref(), Some("d".as_ref()));
    for command in ["list --json", "set a --bandwidth none", "secret a --secret-out -", "remove a"]
    {
        parse(&format!("anyproxy group {command} -c g.toml")).unwrap();
    }
}

#[test]
fn no_flag_takes_a_secret() {
    fn check(command: &clap::Command) {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let takes_value = argument.get_action().takes_values();
            let sensitive = id.contains("secret") || id.contains("password");
            // Files to read it from or to write it to.
            let path = id.ends_with("_file") || id.ends_with("_out");
            assert!(!sensitive || !takes_value || path, "{id}");
        }
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
    assert_eq!(parse("anyproxy client --secret x").unwrap_err().kind(), ErrorKind::UnknownArgument);
}

/// The documentation of every setting.
const MANUAL: &str = include_str!("../../../../docs/configuration.md");

#[test]
fn every_flag_and_variable_is_documented() {
    fn check(command: &clap::Command, missing: &mut Vec<String>) {
        for argument in command.get_arguments() {
            let flag = argument.get_long().map(|long| format!("--{long}"));
            let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
            let undocumented = |text: &String| !MANUAL.contains(text) && text != "--help";
            missing.extend(flag.into_iter().chain(variable).filter(undocumented));
        }
        command.get_subcommands().for_each(|command| check(command, missing));
    }
    let mut missing = vec![];
    for name in ["gateway", "client", "group"] {
        check(Cli::command().find_subcommand(name).unwrap(), &mut missing);
    }
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_client_joins_and_is_managed_under_one_word() {
    let line = "anyproxy client --join apj1_secret --forward 8000:localhost:3000 \
                --forward udp:5353:10.0.0.1:53";
    let cli = parse(line).unwrap();
    let Command::Client(line) = &cli.command else { panic!("{cli:?}") };
    assert_eq!(*line.client.join.join.as_ref().unwrap().0, "apj1_secret");
    assert!(line.roll.is_none() && line.client.forward.len() == 2);
    assert!(!format!("{cli:?}").contains("apj1_secret"), "{cli:?}");
    for line in ["anyproxy client list --json -c g", "anyproxy client revoke laptop --data-dir d"] {
        let cli = parse(line).unwrap();
        let Command::Client(line) = &cli.command else { panic!("{cli:?}") };
        assert!(line.roll.is_some(), "{cli:?}");
    }
    for wrong in [
        "anyproxy doctor client list",
        "anyproxy client --join a --join-file b",
        "anyproxy client --join a --pin sha256:0",
        "anyproxy client --join a --group b",
        "anyproxy client --join a list",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    let cli = parse("anyproxy token create --ttl 5m --advertise gw.example.com:8443").unwrap();
    let Command::Token(TokenArgs { command: TokenCommand::Create(args) }) = cli.command else {
        panic!("{cli:?}")
    };
    assert_eq!(args.ttl, Duration::from_secs(300));
}
