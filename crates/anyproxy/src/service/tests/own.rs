//! Services without a configuration file.

use super::*;
use crate::store::Store;

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
    assert_eq!(out.matches("moved ").count(), 2, "{out}");
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
