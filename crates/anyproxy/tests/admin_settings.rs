//! Where a process tells about itself, as flags and files say it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod nothing;
mod support;

use std::path::PathBuf;

use anyproxy::{
    cli::{AdminArgs, ClientArgs, GatewayArgs, LogArgs},
    config::ConfigError,
    settings::{AdminSettings, ClientSettings, GatewaySettings, Warning},
    values::{AdminAddress, StatusSocket},
};
use nothing::Nothing;
use support::Place;

const GATEWAY: &str = "certificate = \"../certs/gateway.crt\"\nkey = \"../certs/gateway.key\"\n";
const GROUP: &str = "[[group]]\nname = \"demo\"\nsecret_file = \"../certs/demo.secret\"\n";
const CLIENT: &str = "gateway = \"localhost:8443\"\ngroup = \"demo\"\n\
                      secret_file = \"../certs/demo.secret\"\n";

type Read = Result<(AdminSettings, Vec<Warning>), ConfigError>;

fn gateway(place: &Place, admin: AdminArgs, text: &str) -> Read {
    let config = Some(place.write("configs/gateway.toml", &format!("{GATEWAY}{text}{GROUP}")));
    let args = GatewayArgs { config, admin, ..GatewayArgs::default() };
    let loaded = GatewaySettings::load(&args, &LogArgs::default(), &mut Nothing)?;
    Ok((loaded.settings.admin, loaded.warnings))
}

fn client(place: &Place, admin: AdminArgs, text: &str) -> Read {
    let config = Some(place.write("configs/client.toml", &format!("{CLIENT}{text}")));
    let args = ClientArgs { config, admin, ..ClientArgs::default() };
    let loaded = ClientSettings::load(&args, &LogArgs::default(), &mut Nothing)?;
    Ok((loaded.settings.admin, loaded.warnings))
}

/// What either reads from flags and file.
fn both(admin: &AdminArgs, text: &str) -> [(AdminSettings, Vec<Warning>); 2] {
    let place = Place::new();
    [gateway(&place, admin.clone(), text).unwrap(), client(&place, admin.clone(), text).unwrap()]
}

#[test]
fn by_default_there_is_the_usual_socket_and_no_address() {
    for (settings, warnings) in both(&AdminArgs::default(), "") {
        assert_eq!(settings, AdminSettings { addr: None, socket: StatusSocket::Usual });
        assert_eq!(warnings, []);
    }
}

#[test]
fn a_port_alone_is_one_of_loopback_and_another_address_is_warned_of() {
    for (settings, warnings) in both(&AdminArgs::default(), "admin = \"9464\"\n") {
        assert_eq!(settings.addr, Some("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(warnings, []);
    }
    for (settings, warnings) in both(&AdminArgs::default(), "admin = \"0.0.0.0:9464\"\n") {
        let addr = settings.addr.unwrap();
        assert_eq!(warnings, [Warning::OpenAdmin { addr }]);
        assert!(warnings[0].to_string().contains("asks nobody to log in"), "{}", warnings[0]);
    }
}

#[test]
fn the_flag_wins_and_paths_are_relative_to_where_they_are_named() {
    let file = "admin = \"9464\"\nstatus_socket = \"run/a.sock\"\n";
    for (settings, _) in both(&AdminArgs::default(), file) {
        let StatusSocket::At(path) = settings.socket else { panic!("{settings:?}") };
        assert!(path.is_absolute() && path.ends_with("configs/run/a.sock"), "{}", path.display());
    }
    let flags =
        AdminArgs { admin: Some(AdminAddress(None)), status_socket: Some(PathBuf::from("b.sock")) };
    for (settings, _) in both(&flags, file) {
        let socket = StatusSocket::At("b.sock".into());
        assert_eq!(settings, AdminSettings { addr: None, socket });
    }
    let off = AdminArgs { status_socket: Some("off".into()), ..AdminArgs::default() };
    for (settings, _) in both(&off, file) {
        assert_eq!(settings.socket, StatusSocket::Off);
    }
    for (settings, _) in both(&AdminArgs::default(), "status_socket = \"off\"\n") {
        assert_eq!(settings.socket, StatusSocket::Off);
    }
}

#[test]
fn an_address_that_is_taken_twice_or_is_none_is_named() {
    let place = Place::new();
    let error = gateway(&place, AdminArgs::default(), "admin = \"8088\"\n").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`admin`") && text.contains("`http`"), "{text}");
    for read in [gateway, client] {
        let error = read(&place, AdminArgs::default(), "admin = \"localhost:1\"\n").unwrap_err();
        assert!(error.fix().unwrap().contains("9464"), "{error}");
    }
}
