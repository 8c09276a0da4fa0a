//! Which HTTP proxy a client takes, and that its password shows nowhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::io;

use anyproxy::{
    cli::{ClientArgs, LogArgs},
    config::ConfigError,
    settings::{ClientSettings, Loaded, Outside, Warning},
    values::{Method, gateway},
};
use anyproxy_transport::{HttpProxy, ProxyScheme, Trust};
use support::{PASSWORD, Place, SECRET};

/// Variables of a test.
struct World<'a>(&'a [(&'a str, &'a str)]);

impl Outside for World<'_> {
    fn secret_variable(&self) -> Option<Vec<u8>> {
        Some(SECRET.into())
    }

    fn standard_input(&mut self) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    fn host_name(&self) -> Option<String> {
        Some("laptop".into())
    }

    fn proxy_variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_bytes().to_vec())
    }
}

fn load(
    args: &ClientArgs,
    variables: &[(&str, &str)],
) -> Result<Loaded<ClientSettings>, ConfigError> {
    ClientSettings::load(args, &LogArgs::default(), &mut World(variables))
}

fn args(host: &str) -> ClientArgs {
    ClientArgs {
        gateway: Some(gateway(host).unwrap()),
        group: Some("demo".into()),
        ..ClientArgs::default()
    }
}

fn proxy(args: &ClientArgs, variables: &[(&str, &str)]) -> Option<HttpProxy> {
    load(args, variables).unwrap().settings.route.proxy
}

fn shown(args: &ClientArgs, variables: &[(&str, &str)]) -> Option<String> {
    proxy(args, variables).map(|proxy| proxy.to_string())
}

#[test]
fn the_environment_names_it_as_for_curl() {
    let gw = args("gw.example.com");
    let http = Some("http://proxy:3128".to_owned());
    assert_eq!(shown(&gw, &[]), None);
    for name in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        assert_eq!(shown(&gw, &[(name, "http://proxy:3128")]), http, "{name}");
    }
    // `http_proxy` is for plain HTTP, which a tunnel never is.
    assert_eq!(shown(&gw, &[("http_proxy", "http://proxy:3128")]), None);
    let both = [("HTTPS_PROXY", "http://other:1"), ("https_proxy", "http://proxy:3128")];
    assert_eq!(shown(&gw, &both), http, "lower case first, as curl");
    let set = ("HTTPS_PROXY", "http://proxy:3128");
    assert_eq!(shown(&gw, &[set, ("NO_PROXY", "localhost,.example.com")]), None);
    assert_eq!(shown(&gw, &[set, ("no_proxy", "example.org")]), http);
    for here in ["localhost:8443", "127.0.0.1:8443", "[::1]:8443"] {
        assert_eq!(shown(&args(here), &[set]), None, "{here}");
    }
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_environment() {
    let place = Place::new();
    let text = "proxy = \"http://file:1\"\n";
    let config = Some(place.write("configs/client.toml", text));
    let file = ClientArgs { config, ..args("gw.example.com") };
    let environment = [("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "*")];
    assert_eq!(shown(&file, &environment).unwrap(), "http://file:1");
    let flag = ClientArgs { proxy: Some("https://flag".into()), ..file.clone() };
    assert_eq!(shown(&flag, &environment).unwrap(), "https://flag:443");
    let off = ClientArgs { proxy: Some("off".into()), ..file };
    assert_eq!(shown(&off, &environment[..1]), None);
}

#[test]
fn where_its_password_comes_from_and_that_nothing_shows_it() {
    let place = Place::new();
    let text = "proxy = \"http://me@proxy:1\"\nproxy_password_file = \"../certs/user.password\"\n";
    let config = Some(place.write("configs/client.toml", text));
    let file = ClientArgs { config, ..args("gw.example.com") };
    let bare = ClientArgs { proxy: Some("http://me@proxy:1".into()), ..args("gw.example.com") };
    let flag =
        ClientArgs { proxy_password_file: Some(place.path("certs/user.password")), ..bare.clone() };
    let variable = [("ANYPROXY_PROXY_PASSWORD", "of-variable")];
    let url = [("HTTPS_PROXY", "http://me:of-url@proxy:1")];
    for (args, variables, expected) in [
        (&file, &[][..], PASSWORD),
        (&file, &variable, "of-variable"),
        (&flag, &variable, PASSWORD),
        (&bare, &variable, "of-variable"),
        (&bare, &[], ""),
        (&args("gw.example.com"), &url, "of-url"),
    ] {
        let settings = load(args, variables).unwrap().settings;
        let login = settings.route.proxy.as_ref().unwrap().login.as_ref().unwrap();
        assert_eq!((login.user.as_str(), login.password.expose()), ("me", expected.as_bytes()));
        let debug = format!("{settings:?}");
        assert!(debug.contains("proxy") && (expected.is_empty() || !debug.contains(expected)));
    }
    let in_flag = ClientArgs { proxy: Some("http://me:hunter2@proxy:1".into()), ..bare };
    let error = load(&in_flag, &[]).unwrap_err();
    assert!(error.fix().unwrap().contains("ANYPROXY_PROXY_PASSWORD"));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn a_proxy_that_was_not_set_for_us_and_cannot_be_used_is_only_a_warning() {
    let variables = [("ALL_PROXY", "socks5://me:hunter2@proxy:1080")];
    let loaded = load(&args("gw.example.com"), &variables).unwrap();
    assert!(loaded.settings.route.proxy.is_none());
    assert_eq!(loaded.warnings, [Warning::UnusableProxy { variable: "ALL_PROXY" }]);
    assert!(!loaded.warnings[0].to_string().contains("hunter2"));
}

#[test]
fn more_authorities_are_added_and_a_readable_password_is_warned_of() {
    let place = Place::new();
    let text = "extra_ca = \"../certs/ca.crt\"\nproxy = \"https://proxy\"\n";
    let config = Some(place.write("configs/client.toml", text));
    let file = ClientArgs { config, ..args("gw.example.com") };
    let loaded = load(&file, &[]).unwrap();
    assert!(matches!(&loaded.settings.trust, Trust::SystemAnd(extra) if extra.len() == 1));
    assert_eq!(loaded.warnings, []);
    let proxy = loaded.settings.route.proxy.unwrap();
    assert!(matches!(&proxy.scheme, ProxyScheme::Https(Trust::SystemAnd(_))));
    let ca = ClientArgs { ca: Some(place.path("certs/ca.crt")), ..file.clone() };
    let trust = load(&ca, &[]).unwrap().settings.trust;
    assert!(matches!(&trust, Trust::Ca(both) if both.len() == 2));
    let password = ClientArgs { method: Some(Method::Password), ..file };
    assert_eq!(load(&password, &[]).unwrap().warnings, [Warning::ReadablePassword]);
}
