//! How flags, environment and file join, and that no setting shows a secret.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::{io, path::PathBuf, time::Duration};

use anyproxy::{
    cli::{ClientArgs, GatewayArgs, LogArgs},
    config::{ConfigError, Problem},
    groups::Credential,
    settings::{ClientSettings, GatewaySettings, LogOutput, LogSettings, Outside, Warning},
    values::{ClientTransport, ForwardFlag, LogFormat, Method},
};
use anyproxy_transport::tls::Trust;
use anyproxy_wire::handshake::{Secret, Verifier};
use support::{PASSWORD, Place, SECRET};

const OTHER: &str = "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q";

/// An outside world that a test makes up.
#[derive(Default)]
struct World {
    variable: Option<&'static str>,
    stdin: Option<&'static str>,
    host: Option<&'static str>,
}

impl Outside for World {
    fn secret_variable(&self) -> Option<Vec<u8>> {
        self.variable.map(|text| text.as_bytes().to_vec())
    }

    fn standard_input(&mut self) -> io::Result<Vec<u8>> {
        let text = self.stdin.take().expect("standard input is read once, and only when asked for");
        Ok(text.as_bytes().to_vec())
    }

    fn host_name(&self) -> Option<String> {
        self.host.map(str::to_owned)
    }
}

fn client(args: &ClientArgs, world: &mut World) -> Result<ClientSettings, ConfigError> {
    ClientSettings::load(args, &LogArgs::default(), world).map(|loaded| loaded.settings)
}

fn flags_only() -> ClientArgs {
    ClientArgs {
        gateway: Some("gw.example.com:8443".parse().unwrap()),
        group: Some("demo".into()),
        ..ClientArgs::default()
    }
}

const CLIENT: &str = r#"
gateway = "file.example.com:8443"
transport = "ws"
pin = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
group = "from-file"
client_id = "from-file"
secret_file = "../certs/demo.secret"
drain = "1s"

[policy]
allow = ["192.0.2.1"]

[log]
level = "warn"
file = "logs/a.log"

[[forward]]
name = "web"
listen = "127.0.0.1:8000"
target = "127.0.0.1:9000"
"#;

#[test]
fn a_client_needs_no_file() {
    let mut world = World { variable: Some(SECRET), host: Some("laptop"), ..World::default() };
    let args = ClientArgs {
        transport: Some(ClientTransport::Ws),
        forward: vec!["127.0.0.1:8000=127.0.0.1:9000".parse::<ForwardFlag>().unwrap()],
        ..flags_only()
    };
    let settings = client(&args, &mut world).unwrap();
    assert_eq!(settings.gateway.to_string(), "gw.example.com:8443");
    assert_eq!(settings.server_name.to_str(), "gw.example.com");
    assert_eq!(settings.transport, ClientTransport::Ws);
    assert_eq!(settings.client_id, "laptop");
    assert_eq!(settings.secret.expose(), SECRET.as_bytes());
    assert_eq!(settings.limits.drain, Duration::from_secs(10));
    assert!(matches!(settings.trust, Trust::System));
    assert_eq!(settings.forwards[0].target.to_string(), "127.0.0.1:9000");
    assert_eq!(settings.log, LogSettings::default());
}

#[test]
fn without_a_host_name_an_id_is_asked_for() {
    let error = client(&flags_only(), &mut World { variable: Some(SECRET), ..World::default() });
    assert!(error.unwrap_err().fix().unwrap().contains("--client-id"));
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let place = Place::new();
    let config = Some(place.write("configs/client.toml", CLIENT));
    let args = ClientArgs { config: config.clone(), ..ClientArgs::default() };
    let file = client(&args, &mut World::default()).unwrap();
    assert_eq!((file.group.as_str(), file.client_id.as_str()), ("from-file", "from-file"));
    assert_eq!(file.transport, ClientTransport::Ws);
    assert!(matches!(file.trust, Trust::Pin(_)));
    assert_eq!(file.limits.drain, Duration::from_secs(1));
    assert_eq!(file.limits.proxy_timeout, Duration::from_secs(30));
    let LogOutput::File { path, keep: 7, .. } = &file.log.output else { panic!("{:?}", file.log) };
    assert_eq!(*path, place.path("configs/logs/a.log"), "relative to the file");

    let args = ClientArgs {
        config,
        transport: Some(ClientTransport::Quic),
        ca: Some(place.path("certs/ca.crt")),
        client_id: Some("from-flag".into()),
        drain: Some(Duration::ZERO),
        forward: vec!["[::1]:1=a:2".parse().unwrap()],
        allow: vec!["*".into()],
        ..flags_only()
    };
    let log = LogArgs { log_format: Some(LogFormat::Json), ..LogArgs::default() };
    let flags = ClientSettings::load(&args, &log, &mut World::default()).unwrap().settings;
    assert_eq!((flags.group.as_str(), flags.client_id.as_str()), ("demo", "from-flag"));
    assert_eq!(flags.transport, ClientTransport::Quic);
    assert!(matches!(flags.trust, Trust::Ca(_)), "a flag replaces the file's pin");
    assert_eq!(flags.limits.drain, Duration::ZERO);
    assert_eq!(flags.forwards.len(), 1);
    assert_eq!(flags.log.format, LogFormat::Json);
    assert_eq!(flags.log.filter, "warn", "what no flag says stays as in the file");
}

#[test]
fn where_the_secret_comes_from() {
    let place = Place::new();
    let config = Some(place.write("configs/client.toml", CLIENT));
    let file = ClientArgs { config, ..ClientArgs::default() };
    let flag = ClientArgs { secret_file: Some(place.path("certs/demo.secret")), ..file.clone() };
    let stdin = ClientArgs { secret_stdin: true, ..file.clone() };
    let world = |variable, stdin| World { variable, stdin, host: Some("h") };
    for (args, mut world, expected) in [
        (&file, world(None, None), SECRET),
        (&file, world(Some(OTHER), None), OTHER),
        (&flag, world(Some(OTHER), None), SECRET),
        (&stdin, world(Some(SECRET), Some(OTHER)), OTHER),
    ] {
        let settings = client(args, &mut world).unwrap();
        assert_eq!(settings.secret.expose(), expected.as_bytes());
    }
    let weak = client(&file, &mut world(Some("hunter2"), None)).unwrap_err();
    assert!(matches!(weak.problem(), Problem::Weak { .. }), "{weak}");
    let password = ClientArgs { method: Some(Method::Password), ..file };
    let settings = client(&password, &mut world(Some("hunter2"), None)).unwrap();
    assert_eq!(settings.secret.expose(), b"hunter2");
}

#[test]
fn a_problem_with_a_flag_names_the_flag() {
    let mut world = World { variable: Some(SECRET), host: Some("h"), ..World::default() };
    let absent = Some(PathBuf::from("absent.crt"));
    for (args, flag) in [
        (ClientArgs { ca: absent.clone(), ..flags_only() }, "--ca: cannot read absent.crt"),
        (ClientArgs { secret_file: absent, ..flags_only() }, "--secret-file: cannot read"),
        (ClientArgs { server_name: Some("a b".into()), ..flags_only() }, "--server-name: `a b`"),
    ] {
        let error = client(&args, &mut world).unwrap_err();
        assert!(error.to_string().starts_with(flag), "{error}");
    }
    let absent = ClientArgs { config: Some("absent.toml".into()), ..ClientArgs::default() };
    let error = client(&absent, &mut world).unwrap_err();
    assert!(error.to_string().starts_with("cannot read absent.toml"), "{error}");
}

fn gateway_file(place: &Place, groups: &str) -> GatewayArgs {
    let tls = "certificate = \"../certs/gateway.crt\"\nkey = \"../certs/gateway.key\"\n";
    let config = Some(place.write("configs/gateway.toml", &format!("{tls}{groups}")));
    GatewayArgs { config, ..GatewayArgs::default() }
}

fn verifier(credential: &Credential) -> String {
    match credential {
        Credential::Verifier(verifier) => verifier.to_text(),
        Credential::Password(hash) => panic!("{hash:?}"),
    }
}

fn verifier_of(secret: &str) -> String {
    Verifier::from_secret(&Secret::new(secret)).to_text()
}

#[test]
fn a_gateway_by_default() {
    let place = Place::new();
    let group = "[[group]]\nname = \"demo\"\nsecret_file = \"../certs/demo.secret\"\n";
    let args = gateway_file(&place, group);
    let loaded = GatewaySettings::load(&args, &LogArgs::default(), &mut World::default()).unwrap();
    assert_eq!(loaded.warnings, []);
    let settings = loaded.settings;
    assert_eq!(settings.listen, "[::]:8443".parse().unwrap());
    assert_eq!(settings.http, ["127.0.0.1:8088".parse().unwrap()]);
    assert_eq!(settings.socks5, ["127.0.0.1:1080".parse().unwrap()]);
    assert_eq!((settings.ws_path.as_str(), settings.limits.max_streams), ("/anyproxy", 4_096));
    assert_eq!(settings.limits.stall_budget, 256 << 20);
    let [group] = settings.groups.as_slice() else { panic!("{settings:?}") };
    assert_eq!(verifier(&group.tunnel), verifier_of(SECRET));
    let [user] = group.users.as_slice() else { panic!("{group:?}") };
    assert_eq!(user.name, "demo");
    assert_eq!(verifier(&user.password), verifier_of(SECRET), "users have the clients' secret");
    assert_eq!(group.forwards, [], "no port may be asked for");
}

#[test]
fn users_may_have_a_password_of_their_own() {
    let place = Place::new();
    let args = gateway_file(
        &place,
        "[[group]]\nname = \"demo\"\nsecret_file = \"../certs/demo.secret\"\n\
         password_file = \"../certs/user.password\"\n",
    );
    let loaded = GatewaySettings::load(&args, &LogArgs::default(), &mut World::default()).unwrap();
    let [group] = loaded.settings.groups.as_slice() else { panic!("{loaded:?}") };
    assert_eq!(verifier(&group.tunnel), verifier_of(SECRET));
    // A person chose it, so it is checked like one.
    let [user] = group.users.as_slice() else { panic!("{group:?}") };
    let Credential::Password(hash) = &user.password else { panic!("{user:?}") };
    assert!(hash.as_str().starts_with("$argon2id$"), "{}", hash.as_str());
}

/// One credential shared by all tenants.
#[test]
fn the_variable_serves_one_group_and_never_several() {
    let place = Place::new();
    let group =
        |name| format!("[[group]]\nname = \"{name}\"\nsecret_file = \"../certs/demo.secret\"\n");
    let log = LogArgs::default();
    let mut world = World { variable: Some(OTHER), ..World::default() };
    let args = gateway_file(&place, "[[group]]\nname = \"demo\"\n");
    let one = GatewaySettings::load(&args, &log, &mut world).unwrap();
    assert_eq!(verifier(&one.settings.groups[0].tunnel), verifier_of(OTHER));
    let args = gateway_file(&place, &(group("a") + &group("b")));
    let two = GatewaySettings::load(&args, &log, &mut world).unwrap();
    assert_eq!(two.warnings, [Warning::UnusedSecret]);
    for group in &two.settings.groups {
        assert_eq!(verifier(&group.tunnel), verifier_of(SECRET));
    }
}

#[cfg(unix)]
#[test]
fn a_private_file_that_others_can_read_is_a_warning_with_its_fix() {
    use std::{fs, os::unix::fs::PermissionsExt as _};
    let place = Place::new();
    for name in ["certs/demo.secret", "certs/gateway.key"] {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let group = "[[group]]\nname = \"demo\"\nsecret_file = \"../certs/demo.secret\"\n";
    let args = gateway_file(&place, group);
    let loaded = GatewaySettings::load(&args, &LogArgs::default(), &mut World::default()).unwrap();
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    for warning in loaded.warnings {
        let text = warning.to_string();
        assert!(text.contains("mode 0644") && text.contains("chmod 600 "), "{text}");
    }
}

#[test]
fn no_setting_shows_a_secret() {
    let place = Place::new();
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$\
                4yTPBAtTnmvb4zNh2yQKQrkzMmFUbLRBnOONhTSCWFk";
    let verifier = verifier_of(SECRET);
    let args = gateway_file(
        &place,
        &format!(
            "[[group]]\nname = \"a\"\nsecret_file = \"../certs/demo.secret\"\n\
             password_file = \"../certs/user.password\"\n\
             [[group]]\nname = \"b\"\nsecret_hash = \"{verifier}\"\npassword_hash = \"{hash}\"\n"
        ),
    );
    let log = LogArgs::default();
    let gateway = GatewaySettings::load(&args, &log, &mut World::default()).unwrap();
    let config = Some(place.write("configs/client.toml", CLIENT));
    let args = ClientArgs { config, ..ClientArgs::default() };
    let client = ClientSettings::load(&args, &log, &mut World::default()).unwrap();
    let key = std::fs::read_to_string(place.path("certs/gateway.key")).unwrap();
    let key = key.lines().nth(1).unwrap();
    let stored = verifier.rsplit(':').next().unwrap();
    for shown in [format!("{gateway:?} {gateway:#?}"), format!("{client:?} {client:#?}")] {
        for secret in [SECRET, PASSWORD, hash, stored, key, &format!("{:?}", SECRET.as_bytes())] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
