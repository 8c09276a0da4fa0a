//! `anyproxy import`: what it writes is what a start accepts, and nothing is lost without a word.
//!
//! The files in `tests/foreign` were written for these tests, after what the other programs read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyproxy::{
    certs,
    check::check,
    cli::{CertsArgs, ImportArgs, Kind, LogArgs},
    import::{self, ImportError},
};
use tempfile::TempDir;

fn foreign(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign").join(name)
}

/// What an import left, after `anyproxy certs` as it says.
struct Imported {
    dir: TempDir,
    err: String,
}

impl Imported {
    fn of(names: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let mut err = vec![];
        import::run(&args(names, Some(dir.path())), &mut vec![], &mut err).unwrap();
        let certs = CertsArgs { dir: dir.path().join("certs"), name: vec![], group: vec![] };
        certs::run(&certs, &mut vec![]).unwrap();
        Self { dir, err: String::from_utf8(err).unwrap() }
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// The file, which `anyproxy check` accepts without a warning.
    fn config(&self, name: &str, kind: Kind) -> toml::Table {
        let path = self.dir.path().join(name);
        let (found, warnings) = check(&path, None, &LogArgs::default())
            .unwrap_or_else(|error| panic!("{error}: {:?}\n{}", error.excerpt(), self.text(name)));
        assert_eq!(found, kind);
        assert!(warnings.is_empty(), "{warnings:?}");
        assert!(!self.text(name).contains("hunter2"), "a secret:\n{}", self.text(name));
        assert!(!self.err.contains("hunter2"), "a secret:\n{}", self.err);
        toml::from_str(&self.text(name)).unwrap()
    }

    /// Whether each key is named on standard error and in the file.
    fn names(&self, file: &str, keys: &[&str]) {
        let text = self.text(file);
        for key in keys {
            assert!(self.err.contains(&format!("- {key}")), "{key}:\n{}", self.err);
            assert!(text.contains(&format!("# - {key}")), "{key}:\n{text}");
        }
    }
}

fn args(names: &[&str], out: Option<&Path>) -> ImportArgs {
    let files = names.iter().map(|name| foreign(name)).collect();
    ImportArgs { files, from: None, out: out.map(Into::into), group: None }
}

/// `listen target protocol` of each forward.
fn forwards(config: &toml::Table) -> Vec<String> {
    let list = config["forward"].as_array().unwrap();
    let word = |forward: &toml::Value, key: &str| {
        forward.get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    };
    let line = |f| format!("{} {} {}", word(f, "listen"), word(f, "target"), word(f, "protocol"));
    list.iter().map(|forward| line(forward).trim().to_owned()).collect()
}

#[test]
fn anyproxy_version_1() {
    let imported = Imported::of(&["anyproxy-v1.yaml"]);
    let gateway = imported.config("gateway.toml", Kind::Gateway);
    assert_eq!(gateway["listen"].as_str(), Some("[::]:8443"));
    assert_eq!(gateway["http"].as_str(), Some("[::]:8088"));
    assert_eq!(gateway["socks5"].as_str(), Some("127.0.0.1:1080"));
    assert_eq!(gateway["transport"].as_str(), Some("ws"));
    assert_eq!(gateway["log"]["keep"].as_integer(), Some(3));
    let group = &gateway["group"][0];
    assert!(group["secret_hash"].as_str().unwrap().starts_with("$argon2id$"));
    assert_eq!(group["user"][0]["name"].as_str(), Some("alice"));
    assert_eq!(imported.text("alice.password"), "hunter2-hunter2\n");
    // One character is no password, so there is another one.
    assert!(imported.text("bob.password").len() > 40);
    imported.names(
        "gateway.toml",
        &["gateway.tls_cert, gateway.tls_key", "proxy.socks5.auth_password"],
    );
    let client = imported.config("client.toml", Kind::Client);
    assert_eq!(client["gateway"].as_str(), Some("gw.example.com:8443"));
    assert_eq!(client["method"].as_str(), Some("password"));
    assert_eq!(imported.text("default.secret"), "hunter2-of-gateway\n");
    assert_eq!(forwards(&client), ["[::]:8000 10.0.0.5:3000", "[::]:8000 10.0.0.1:53 udp"]);
    let deny = ["127.0.0.1", "192.168.0.0/16", "*.internal.example", "internal.example"];
    let list: Vec<_> = client["policy"]["deny"].as_array().unwrap().iter().collect();
    assert_eq!(list.iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>(), deny);
    assert!(client["policy"].get("allow").is_none());
}

#[test]
fn anyproxy_version_2_in_two_files() {
    let imported = Imported::of(&["anyproxy-v2-gateway.yaml", "anyproxy-v2-client.yaml"]);
    let gateway = imported.config("gateway.toml", Kind::Gateway);
    assert_eq!(gateway["https"].as_str(), Some("[::]:8444"));
    assert_eq!(gateway["http"].as_str(), Some("off"));
    assert!(gateway.get("transport").is_none(), "gRPC has no counterpart");
    let group = &gateway["group"][0];
    assert_eq!(group["name"].as_str(), Some("team"));
    assert_eq!(group["secret_file"].as_str(), Some("team.secret"));
    assert_eq!(group["password_file"].as_str(), Some("team.password"));
    assert_eq!(group["forwards"][0].as_str(), Some("8022"));
    imported.names(
        "gateway.toml",
        &["gateway.transport_type", "gateway.credential", "gateway.web", "gateway.proxy.tuic"],
    );
    let client = imported.config("client.toml", Kind::Client);
    assert_eq!(client["transport"].as_str(), Some("quic"));
    assert_eq!(client["replicas"].as_integer(), Some(3));
    // A forbidden pattern that is no rule closes everything, and is named.
    assert_eq!(client["policy"]["allow"].as_array().unwrap().len(), 1);
    assert_eq!(client["policy"]["allow"][0].as_str(), Some("nothing.invalid"));
    imported.names(
        "client.toml",
        &["client.forbidden_hosts `db[0-9]+`", "client.some_new_key", "client.web"],
    );
    imported.names(
        "client.toml",
        &[&format!("log of {}.level", foreign("anyproxy-v2-client.yaml").display())],
    );
}

#[test]
fn frp_in_toml() {
    let imported = Imported::of(&["frps.toml", "frpc.toml"]);
    let gateway = imported.config("gateway.toml", Kind::Gateway);
    assert_eq!(gateway["listen"].as_str(), Some("0.0.0.0:7000"));
    assert_eq!((gateway["http"].as_str(), gateway["socks5"].as_str()), (Some("off"), Some("off")));
    assert_eq!(gateway["limits"]["max_forwards"].as_integer(), Some(20));
    assert_eq!(gateway["group"][0]["forwards"].as_array().unwrap().len(), 2);
    assert_eq!(gateway["group"][0]["forwards"][0].as_str(), Some("2000-3000"));
    imported.names(
        "gateway.toml",
        &[
            "kcpBindPort",
            "quicBindPort",
            "vhostHTTPPort",
            "webServer",
            "httpPlugins",
            "transport.tls",
        ],
    );
    let client = imported.config("client.toml", Kind::Client);
    assert_eq!(client["gateway"].as_str(), Some("frp.example.com:7000"));
    assert_eq!(client["client_id"].as_str(), Some("office"));
    assert_eq!(client["transport"].as_str(), Some("ws"));
    assert_eq!(client["server_name"].as_str(), Some("gw.example.com"));
    assert_eq!(client["proxy"].as_str(), Some("http://me@proxy.example.com:3128"));
    assert_eq!(imported.text("proxy.password"), "hunter2\n");
    assert_eq!(imported.text("frp.secret"), "hunter2-token\n");
    assert_eq!(forwards(&client), ["0.0.0.0:6000 127.0.0.1:22", "0.0.0.0:6002 10.0.0.1:53 udp"]);
    assert_eq!(client["forward"][0]["proxy_protocol"].as_str(), Some("v2"));
    imported.names(
        "client.toml",
        &[
            "proxies[0].transport.bandwidthLimit",
            "proxies[2] `site`",
            "proxies[3] `socks`",
            "visitors",
        ],
    );
}

#[test]
fn frp_in_ini() {
    let imported = Imported::of(&["frpc.ini"]);
    let client = imported.config("client.toml", Kind::Client);
    assert_eq!(client["gateway"].as_str(), Some("203.0.113.7:7000"));
    assert_eq!(client["transport"].as_str(), Some("quic"));
    let expected = [
        "0.0.0.0:6000 127.0.0.1:22",
        "0.0.0.0:6010-6020 10.0.0.5:6010-6020",
        "0.0.0.0:6030 10.0.0.5:6022",
    ];
    assert_eq!(forwards(&client), expected);
    imported.names("client.toml", &["proxies[0].transport.useCompression"]);
    assert!(!imported.dir.path().join("gateway.toml").exists());
}

/// Sections of a server's plugins look like a client's proxies.
#[test]
fn an_frp_server_in_ini_is_a_gateway() {
    let imported = Imported::of(&["frps.ini"]);
    assert!(!imported.dir.path().join("client.toml").exists());
    let gateway = imported.config("gateway.toml", Kind::Gateway);
    assert_eq!(gateway["listen"].as_str(), Some("0.0.0.0:7000"));
    assert_eq!(imported.text("frp.secret"), "hunter2-hunter2-hunter2-hunter2\n");
    assert_eq!(gateway["group"][0]["forwards"][0].as_str(), Some("10.0.0.1:2000-3000"));
    imported.names("gateway.toml", &SERVERS_KEYS);
    assert!(!imported.err.contains("no counterpart here"), "{}", imported.err);
}

const SERVERS_KEYS: [&str; 16] = [
    "quicBindPort",
    "vhostHTTPPort",
    "vhostHTTPSPort",
    "vhostHTTPTimeout",
    "subDomainHost",
    "custom404Page",
    "tcpmuxHTTPConnectPort",
    "tcpmuxPassthrough",
    "webServer",
    "enablePrometheus",
    "httpPlugins",
    "log.maxDays",
    "detailedErrorsToClient",
    "userConnTimeout",
    "auth.additionalScopes",
    "natholeAnalysisDataReserveHours",
];

#[test]
fn keys_of_ini_get_the_advice_that_newer_files_get() {
    let imported = Imported::of(&["frpc-more.ini"]);
    let client = imported.config("client.toml", Kind::Client);
    assert_eq!(imported.text("frp.secret"), "hunter2-hunter2-hunter2-hunter2\n");
    assert!(client.get("client_id").is_none(), "the name is too long");
    imported.names(
        "client.toml",
        &[
            "user",
            "webServer",
            "metadatas",
            "transport.connectServerLocalIP",
            "transport.dialServerTimeout",
            "auth.additionalScopes",
            "loginFailExit",
            "natHoleStunServer",
            "proxies[0].transport.bandwidthLimit",
            "proxies[0].loadBalancer",
            "proxies[0].healthCheck",
            "proxies[0].metadatas",
            "proxies[1] `proxy`: there is no plugin http_proxy;",
        ],
    );
    assert!(!imported.err.contains("no counterpart here"), "{}", imported.err);
}

#[test]
fn the_gateway_is_called_as_its_clients_call_it() {
    let next = |names: &[&str]| {
        let imported = Imported::of(names);
        let certs = imported.err.lines().find(|line| line.contains("anyproxy certs --dir"));
        let (_, name) = certs.unwrap().split_once("--name ").unwrap();
        let name = name.split(';').next().unwrap().to_owned();
        let gateway = imported.dir.path().join("gateway.toml");
        let head = fs::read_to_string(gateway).unwrap_or_else(|_| format!("--name {name}\n"));
        assert!(head.contains(&format!("--name {name}\n")), "{head}");
        name
    };
    assert_eq!(next(&["frps.ini", "frpc-more.ini"]), "gw.example.com");
    assert_eq!(next(&["frpc.ini"]), "203.0.113.7");
    assert_eq!(next(&["frps.ini"]), "HOST");
}

/// A name that is none here is not lost without a word.
#[test]
fn an_id_that_is_no_client_id_is_told() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("client.yaml");
    let text = "client:\n  id: \"a\\u0007b\"\n  replicas: 99\n  gateway: {addr: \"a:1\"}\n";
    fs::write(&path, text).unwrap();
    let args = ImportArgs { files: vec![path], from: None, out: None, group: None };
    let mut err = vec![];
    import::run(&args, &mut vec![], &mut err).unwrap();
    let err = String::from_utf8(err).unwrap();
    for key in ["- client.id:", "- client.replicas:"] {
        assert!(err.contains(key), "{key}: {err}");
    }
}

#[test]
fn rathole_with_both_sides() {
    let imported = Imported::of(&["rathole-server.toml", "rathole-client.toml"]);
    let gateway = imported.config("gateway.toml", Kind::Gateway);
    assert_eq!(gateway["listen"].as_str(), Some("0.0.0.0:2333"));
    let group = &gateway["group"][0];
    assert_eq!(group["secret_file"].as_str(), Some("rathole.secret"));
    let ports: Vec<_> = group["forwards"].as_array().unwrap().iter().collect();
    assert_eq!(
        ports.iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>(),
        ["127.0.0.1:5353", "0.0.0.0:5202"]
    );
    imported.names("gateway.toml", &["server.transport.noise", "server.services.dns.token"]);
    let client = imported.config("client.toml", Kind::Client);
    assert!(client.get("method").is_none() && client.get("proxy").is_none());
    assert_eq!(forwards(&client), ["127.0.0.1:5353 10.0.0.1:53 udp", "0.0.0.0:5202 127.0.0.1:22"]);
    imported.names("client.toml", &["client.transport.tcp.proxy", "client.services.dns.token"]);
}

#[test]
fn half_of_rathole_says_what_the_other_half_has() {
    let imported = Imported::of(&["rathole-client.toml"]);
    let client = imported.config("client.toml", Kind::Client);
    assert_eq!(forwards(&client)[0], "127.0.0.1:0 10.0.0.1:53 udp");
    imported.names("client.toml", &["client.services.ssh.local_addr"]);
    let imported = Imported::of(&["rathole-server.toml"]);
    imported.config("gateway.toml", Kind::Gateway);
    imported.names("gateway.toml", &["server.services:"]);
}

#[cfg(unix)]
#[test]
fn secrets_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let imported = Imported::of(&["anyproxy-v1.yaml"]);
    for name in ["default.secret", "alice.password", "bob.password"] {
        let mode = imported.dir.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_is_written_beside_it() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("client.toml"), "mine").unwrap();
    let args = args(&["rathole-server.toml", "rathole-client.toml"], Some(dir.path()));
    let error = import::run(&args, &mut vec![], &mut vec![]).unwrap_err();
    assert!(matches!(error, ImportError::Exists(_)), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_screen_shows_no_secret() {
    let (mut out, mut err) = (vec![], vec![]);
    import::run(&args(&["anyproxy-v1.yaml"], None), &mut out, &mut err).unwrap();
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    assert!(out.contains("# ==> client.toml") && out.contains("[[forward]]"), "{out}");
    assert!(!out.contains("hunter2") && !err.contains("hunter2"));
    assert!(err.contains("--out DIR"), "{err}");
}

#[test]
fn what_is_no_configuration_is_refused_with_a_fix() {
    let dir = TempDir::new().unwrap();
    let refused = |text: &str| {
        let path = dir.path().join("file");
        fs::write(&path, text).unwrap();
        let args = ImportArgs { files: vec![path], from: None, out: None, group: None };
        import::run(&args, &mut vec![], &mut vec![]).unwrap_err()
    };
    assert!(refused("a = 1").fix().unwrap().contains("--from"));
    assert!(refused("serverAddr = \"{{ .Envs.A }}\"").fix().unwrap().contains("values"));
    assert!(refused("a: 1\n---\nb: 2\n").fix().unwrap().contains("each document"));
    assert!(refused("a = ").fix().is_some());
    let twice = args(&["frpc.toml", "frpc.ini"], None);
    let error = import::run(&twice, &mut vec![], &mut vec![]).unwrap_err();
    assert!(matches!(error, ImportError::Twice(_)), "{error}");
}
