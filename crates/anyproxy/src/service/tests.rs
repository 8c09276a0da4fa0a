//! Tests of `anyproxy service`, below a root of their own.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::{
    certs,
    cli::{CertsArgs, OwnServiceArgs, ServiceFlags, ServiceInstallArgs, ServiceUninstallArgs},
    store::Store,
};

struct Root(TempDir);

impl Root {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// A gateway's configuration with certificates.
    fn gateway(&self, head: &str) {
        let dir = self.path("etc/anyproxy/certs");
        certs::run(&CertsArgs { dir, name: vec![], group: vec!["demo".into()] }, &mut vec![])
            .unwrap();
        let text = "certificate = \"certs/gateway.crt\"\nkey = \"certs/gateway.key\"\n\
                    [[group]]\nname = \"demo\"\nsecret_file = \"certs/demo.secret\"\n";
        self.write("etc/anyproxy/gateway.toml", &format!("{head}{text}"));
    }

    fn flags(&self, side: Kind) -> ServiceFlags {
        ServiceFlags { side, user: false, root: Some(self.0.path().into()) }
    }

    fn run(
        &self,
        command: fn(ServiceFlags) -> ServiceCommand,
        side: Kind,
    ) -> Result<String, ServiceError> {
        said(command(self.flags(side)))
    }

    /// Installs what has no configuration.
    fn install(&self, side: Kind, own: OwnServiceArgs) -> Result<String, ServiceError> {
        let service = self.flags(side);
        said(ServiceCommand::Install(ServiceInstallArgs { service, own, dry_run: false }))
    }

    /// The identity of a client that joined.
    fn identity(&self, dir: &str) -> String {
        let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
        let text = format!(
            "{{\"version\":1,\"gateway\":\"gw:1\",\"pin\":null,\"group\":\"g\",\"client_id\":\"c\",\
             \"token\":\"CQkJCQkJCQk\",\"key\":\"{key}\"}}"
        );
        self.write(&format!("{dir}/identity.json"), &text);
        private(&self.path(&format!("{dir}/identity.json")));
        text
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.0.path()).unwrap().next().is_none()
    }
}

fn said(command: ServiceCommand) -> Result<String, ServiceError> {
    let mut out = vec![];
    run(&ServiceArgs { command }, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// For its owner alone.
fn private(path: &std::path::Path) {
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn install(service: ServiceFlags) -> ServiceCommand {
    let own = OwnServiceArgs::default();
    ServiceCommand::Install(ServiceInstallArgs { service, own, dry_run: false })
}

fn uninstall(service: ServiceFlags) -> ServiceCommand {
    ServiceCommand::Uninstall(ServiceUninstallArgs { service, dry_run: false })
}

const UNITS: &str = "etc/systemd/system";

#[test]
fn a_gateway_comes_and_goes() {
    let root = Root::new();
    let out = root.run(install, Kind::Gateway).unwrap();
    assert!(
        out.contains("no configuration yet") && out.contains("etc/anyproxy/gateway.toml"),
        "{out}"
    );
    let unit = root.read(&format!("{UNITS}/anyproxy-gateway.service"));
    assert!(unit.contains("ExecStart=/usr/local/bin/anyproxy gateway"), "{unit}");
    assert!(root.read("etc/sysusers.d/anyproxy.conf").contains("u anyproxy"));
    let socket = root.read(&format!("{UNITS}/anyproxy-gateway.socket"));
    assert!(socket.contains("ListenDatagram=[::]:8443"), "{socket}");
    let out = root.run(ServiceCommand::Status, Kind::Gateway).unwrap();
    assert_eq!(out.matches(": installed\n").count(), 3, "{out}");
    assert!(out.contains("gateway.toml: missing"), "{out}");
    root.write("etc/anyproxy/keep", "mine");
    root.run(uninstall, Kind::Gateway).unwrap();
    assert_eq!(fs::read_dir(root.path(UNITS)).unwrap().count(), 0);
    assert_eq!(root.read("etc/anyproxy/keep"), "mine");
    let mut out = vec![];
    let command = ServiceCommand::Status(root.flags(Kind::Gateway));
    let error = run(&ServiceArgs { command }, &mut out).unwrap_err();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.matches(": not installed\n").count(), 3, "{out}");
    assert!(matches!(error, ServiceError::NotInstalled("gateway")), "{error}");
    // What is gone already is no error.
    root.run(uninstall, Kind::Gateway).unwrap();
}

#[test]
fn the_sockets_are_those_of_the_configuration() {
    let root = Root::new();
    root.gateway("listen = \"0.0.0.0:9443\"\nhttp = \"off\"\nsocks5 = [\"127.0.0.1:1081\", \"[::1]:0\"]\nmixed = \"[::1]:8090\"\n");
    root.run(install, Kind::Gateway).unwrap();
    let socket = root.read(&format!("{UNITS}/anyproxy-gateway.socket"));
    let lines: Vec<_> = socket.lines().filter(|line| line.starts_with("Listen")).collect();
    let expected = [
        "ListenStream=0.0.0.0:9443",
        "ListenStream=127.0.0.1:1081",
        "ListenStream=[::1]:8090",
        "ListenDatagram=0.0.0.0:9443",
    ];
    assert_eq!(lines, expected);
    assert!(socket.contains("[Install]"), "{socket}");
    // Another address later shows in the status.
    root.gateway("http = \"off\"\ntransport = \"quic\"\n");
    let out = root.run(ServiceCommand::Status, Kind::Gateway).unwrap();
    assert!(out.contains("anyproxy-gateway.socket: installed, but not as"), "{out}");
}

#[test]
fn a_configuration_that_would_not_start_is_not_installed() {
    let root = Root::new();
    root.gateway("listen = \"localhost:1\"\n");
    let error = root.run(install, Kind::Gateway).unwrap_err();
    assert!(matches!(error, ServiceError::Config(_)) && error.fix().is_some(), "{error}");
    assert!(!root.path(UNITS).exists());
}

#[test]
fn a_client_is_handed_the_files_that_it_names() {
    let root = Root::new();
    let config =
        "gateway = \"gw:1\"\ngroup = \"g\"\nca = \"ca.crt\"\nsecret_file = \"./team.secret\"\n";
    root.write("etc/anyproxy-client/client.toml", config);
    root.run(install, Kind::Client).unwrap();
    let unit = root.read(&format!("{UNITS}/anyproxy-client.service"));
    let lines: Vec<_> = unit.lines().filter(|line| line.starts_with("LoadCredential=")).collect();
    let of = |name| format!("LoadCredential={name}:/etc/anyproxy-client/{name}");
    assert_eq!(lines, ["ca.crt", "client.toml", "team.secret"].map(of));
    assert!(unit.contains("DynamicUser=yes"), "{unit}");
    root.write("etc/anyproxy-client/client.toml", &config.replace("ca.crt", "certs/ca.crt"));
    let error = root.run(install, Kind::Client).unwrap_err();
    assert!(
        error.to_string().contains("`ca`") && error.fix().unwrap().contains("beside"),
        "{error}"
    );
}

#[test]
fn a_dry_run_touches_nothing() {
    let root = Root::new();
    for command in [install, uninstall] {
        let mut command = command(root.flags(Kind::Client));
        if let ServiceCommand::Install(ServiceInstallArgs { dry_run, .. })
        | ServiceCommand::Uninstall(ServiceUninstallArgs { dry_run, .. }) = &mut command
        {
            *dry_run = true;
        }
        let out = said(command).unwrap();
        assert!(out.contains("anyproxy-client.service"), "{out}");
        assert!(root.is_empty());
    }
}

#[test]
fn the_live_system_is_asked_to_reload_and_start_what_has_a_configuration() {
    let flags = ServiceFlags { side: Kind::Client, user: true, root: None };
    let place = Place::of(&flags).unwrap();
    assert_eq!(place.systemctl(&["daemon-reload"]), ["systemctl", "--user", "daemon-reload"]);
    let uninstall = ServiceUninstallArgs { service: flags, dry_run: true };
    let out = said(ServiceCommand::Uninstall(uninstall)).unwrap();
    assert!(out.contains("run systemctl --user daemon-reload"), "{out}");
    assert!(out.contains(".config") || out.contains("systemd/user"), "{out}");
}

#[test]
fn a_user_s_units_have_nothing_that_a_user_cannot_do() {
    let root = Root::new();
    for side in [Kind::Gateway, Kind::Client] {
        let flags = ServiceFlags { user: true, ..root.flags(side) };
        let place = Place::of(&flags).unwrap();
        said(install(flags)).unwrap();
        for name in place.units() {
            let unit = fs::read_to_string(place.unit(name)).unwrap();
            for key in
                ["\nUser=", "DynamicUser", "Capabilit", "Protect", "Private", "multi-user.target"]
            {
                assert!(!unit.contains(key), "{name}: {key}");
            }
            assert!(unit.contains("WantedBy=default.target"), "{name}");
        }
    }
}

fn advertised(address: &str) -> OwnServiceArgs {
    OwnServiceArgs { advertise: Some(address.parse().unwrap()), ..OwnServiceArgs::default() }
}

#[test]
fn a_gateway_without_a_file_is_a_service() {
    let root = Root::new();
    root.install(Kind::Gateway, advertised("gw.example.com:9443")).unwrap();
    let unit = root.read(&format!("{UNITS}/anyproxy-gateway.service"));
    for line in [
        "ExecStart=/usr/local/bin/anyproxy gateway",
        "Environment=ANYPROXY_DATA_DIR=%S/anyproxy/gateway",
        "Environment=ANYPROXY_ADVERTISE=gw.example.com:9443",
        "StateDirectory=anyproxy anyproxy/gateway",
        "ProtectSystem=strict",
        "User=anyproxy",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}:\n{unit}");
    }
    assert!(!unit.contains("/etc/anyproxy") && !unit.contains("ANYPROXY_LISTEN"), "{unit}");
    let socket = root.read(&format!("{UNITS}/anyproxy-gateway.socket"));
    for line in
        ["ListenStream=[::]:9443", "ListenDatagram=[::]:9443", "ListenStream=127.0.0.1:8088"]
    {
        assert!(socket.lines().any(|found| found == line), "{line}:\n{socket}");
    }
    // What was said once is kept, until somebody says something else.
    root.run(install, Kind::Gateway).unwrap();
    assert_eq!(root.read(&format!("{UNITS}/anyproxy-gateway.service")), unit);
    let out = root.run(ServiceCommand::Status, Kind::Gateway).unwrap();
    assert_eq!(out.matches(": installed\n").count(), 3, "{out}");
    assert!(out.contains("var/lib/anyproxy/gateway: it runs from"), "{out}");
    let listen = Some("0.0.0.0:7".parse().unwrap());
    root.install(Kind::Gateway, OwnServiceArgs { listen, ..OwnServiceArgs::default() }).unwrap();
    let unit = root.read(&format!("{UNITS}/anyproxy-gateway.service"));
    assert!(
        unit.contains("ADVERTISE=gw.example.com:9443\n") && unit.contains("LISTEN=0.0.0.0:7\n"),
        "{unit}"
    );
    assert!(root.read(&format!("{UNITS}/anyproxy-gateway.socket")).contains("=0.0.0.0:7\n"));
}

#[test]
fn what_a_gateway_without_a_file_has_made_is_taken_over() {
    let root = Root::new();
    let old = root.path("home/state");
    let mut store = Store::create(&old).unwrap();
    store.advertise("gw.example.com:8443").unwrap();
    drop(store);
    root.write("home/state/ca.key", "key");
    private(&root.path("home/state/ca.key"));
    let own = || OwnServiceArgs { data_dir: Some(old.clone()), ..OwnServiceArgs::default() };
    let out = root.install(Kind::Gateway, own()).unwrap();
    assert!(out.contains("Stop the gateway"), "{out}");
    assert_eq!(root.read("var/lib/anyproxy/gateway/ca.key"), "key");
    assert!(root.path("var/lib/anyproxy/gateway/groups.db").exists());
    assert!(!old.join("groups.db").exists() && !old.join("ca.key").exists());
    // The address with which it ran.
    let unit = root.read(&format!("{UNITS}/anyproxy-gateway.service"));
    assert!(unit.contains("ANYPROXY_ADVERTISE=gw.example.com:8443\n"), "{unit}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &str| fs::metadata(root.path(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("var/lib/anyproxy/gateway/ca.key"), 0o600);
        assert_eq!(mode("var/lib/anyproxy/gateway"), 0o700);
    }
    // Again, it is there already; another one does not take its place; and nothing is no gateway.
    root.install(Kind::Gateway, own()).unwrap();
    drop(Store::create(&old).unwrap());
    let error = root.install(Kind::Gateway, own()).unwrap_err();
    assert!(matches!(error, ServiceError::Already(_)) && error.fix().is_some(), "{error}");
    let none = OwnServiceArgs { data_dir: Some(root.path("none")), ..OwnServiceArgs::default() };
    let error = Root::new().install(Kind::Gateway, none).unwrap_err();
    assert!(matches!(error, ServiceError::NoGateway(_)), "{error}");
    // Without a flag, what is where the service keeps it.
    let third = Root::new();
    let mut store = Store::create(&third.path("var/lib/anyproxy/gateway")).unwrap();
    store.advertise("127.0.0.1:8443").unwrap();
    third.run(install, Kind::Gateway).unwrap();
    let socket = third.read(&format!("{UNITS}/anyproxy-gateway.socket"));
    assert!(socket.contains("ListenDatagram=127.0.0.1:8443\n"), "{socket}");
}

#[test]
fn a_client_that_joined_is_a_service() {
    let root = Root::new();
    let identity = root.identity("var/lib/anyproxy/client");
    let forward = vec!["8000:localhost:3000".into(), "udp:5353:[::1]:53".into()];
    let own = OwnServiceArgs { forward, ..OwnServiceArgs::default() };
    root.install(Kind::Client, own).unwrap();
    assert_eq!(root.read("var/lib/anyproxy-client/identity.json"), identity);
    assert!(!root.path("var/lib/anyproxy/client/identity.json").exists());
    let unit = root.read(&format!("{UNITS}/anyproxy-client.service"));
    for line in [
        "ExecStart=/usr/local/bin/anyproxy client",
        "StateDirectory=anyproxy-client",
        "Environment=ANYPROXY_STATE_DIR=%S/anyproxy-client",
        "Environment=ANYPROXY_FORWARD=8000:localhost:3000,udp:5353:[::1]:53",
        "DynamicUser=yes",
        "ProtectSystem=strict",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}:\n{unit}");
    }
    assert!(!unit.contains("LoadCredential") && !unit.contains("client.toml"), "{unit}");
    root.run(install, Kind::Client).unwrap();
    assert_eq!(root.read(&format!("{UNITS}/anyproxy-client.service")), unit);
    let out = root.run(ServiceCommand::Status, Kind::Client).unwrap();
    assert_eq!(out.matches(": installed\n").count(), 1, "{out}");

    // A file says the rest, beside the identity.
    root.write(
        "etc/anyproxy-client/client.toml",
        "[[forward]]\nname = \"web\"\nlisten = \"8000\"\ntarget = \"localhost:3000\"\n",
    );
    root.run(install, Kind::Client).unwrap();
    let unit = root.read(&format!("{UNITS}/anyproxy-client.service"));
    assert!(unit.contains("client --config %d/client.toml\n"), "{unit}");
    assert!(
        unit.contains("ANYPROXY_STATE_DIR") && unit.contains("LoadCredential=client.toml:"),
        "{unit}"
    );
    assert!(!unit.contains("ANYPROXY_FORWARD"), "{unit}");
    let out = root.run(uninstall, Kind::Client).unwrap();
    assert!(
        out.contains("etc/anyproxy-client, ") && out.contains("lib/anyproxy-client stay"),
        "{out}"
    );
    assert_eq!(root.read("var/lib/anyproxy-client/identity.json"), identity);
}

#[test]
fn an_identity_is_taken_over_from_where_it_is_and_replaces_none() {
    let root = Root::new();
    let own =
        |dir: &str| OwnServiceArgs { state_dir: Some(root.path(dir)), ..OwnServiceArgs::default() };
    let error = root.install(Kind::Client, own("mine")).unwrap_err();
    assert!(error.to_string().contains("has not joined") && error.fix().is_some(), "{error}");
    assert!(root.is_empty());
    root.identity("mine");
    root.install(Kind::Client, own("mine")).unwrap();
    assert!(!root.path("mine/identity.json").exists());
    root.install(Kind::Client, own("mine")).unwrap();
    root.identity("mine");
    let error = root.install(Kind::Client, own("mine")).unwrap_err();
    assert!(matches!(error, ServiceError::Already(_)), "{error}");

    // A user's own service reads it where it is.
    root.identity("other");
    let service = ServiceFlags { user: true, ..root.flags(Kind::Client) };
    let place = Place::of(&service).unwrap();
    let args = ServiceInstallArgs { service, own: own("other"), dry_run: false };
    said(ServiceCommand::Install(args)).unwrap();
    let unit = fs::read_to_string(place.service()).unwrap();
    let line = format!("Environment=ANYPROXY_STATE_DIR={}\n", root.path("other").display());
    assert!(unit.contains(&line) && unit.contains("anyproxy client\n"), "{unit}");
    assert!(root.path("other/identity.json").exists());
}

#[test]
fn flags_that_would_say_nothing_are_refused() {
    let root = Root::new();
    let forward = OwnServiceArgs { forward: vec!["8000:a:1".into()], ..OwnServiceArgs::default() };
    let error = root.install(Kind::Gateway, forward.clone()).unwrap_err();
    assert!(matches!(error, ServiceError::OtherSide("--forward")), "{error}");
    let error = root.install(Kind::Client, advertised("gw:1")).unwrap_err();
    assert!(matches!(error, ServiceError::OtherSide("--advertise")), "{error}");
    root.gateway("");
    let error = root.install(Kind::Gateway, advertised("gw:1")).unwrap_err();
    assert!(matches!(error, ServiceError::HasFile { flag: "--advertise", .. }), "{error}");
    root.write("etc/anyproxy-client/client.toml", "gateway = \"gw\"\ngroup = \"g\"\n");
    let error = root.install(Kind::Client, forward).unwrap_err();
    assert!(error.fix().unwrap().contains("client.toml"), "{error}");
}
