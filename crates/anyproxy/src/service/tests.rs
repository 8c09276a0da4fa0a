//! Tests of `anyproxy service`, below a root of their own.

mod own;
mod taken;

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::{
    certs,
    cli::{CertsArgs, OwnServiceArgs, ServiceFlags, ServiceInstallArgs, ServiceUninstallArgs},
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
fn a_client_is_handed_every_file_that_a_configuration_can_name() {
    let keys = [
        "ca",
        "extra_ca",
        "secret_file",
        "proxy_password_file",
        "client_certificate",
        "client_key",
    ];
    for key in keys {
        let root = Root::new();
        let config = format!("gateway = \"gw:1\"\ngroup = \"g\"\n{key} = \"named\"\n");
        root.write("etc/anyproxy-client/client.toml", &config);
        root.run(install, Kind::Client).unwrap();
        let unit = root.read(&format!("{UNITS}/anyproxy-client.service"));
        let line = "LoadCredential=named:/etc/anyproxy-client/named";
        assert!(unit.lines().any(|found| found == line), "{key}:\n{unit}");
    }
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
