//! Tests of the reload by itself; those of SIGHUP run the program (`tests/reload.rs`).

use std::{fs, net::SocketAddr, net::TcpStream, path::Path};

use anyproxy_transport::net::System;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tempfile::TempDir;

use super::*;
use crate::{certs, cli::CertsArgs, gateway, watched::PERIOD};

/// A gateway that runs, with its files.
struct Scene {
    dir: TempDir,
    reloader: Reloader,
    gateway: Gateway,
}

impl Scene {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        make_certificates(&dir, "certs");
        make_certificates(&dir, "other");
        let config = "listen = \"127.0.0.1:0\"\nhttp = \"off\"\nsocks5 = \"off\"\n\
                      certificate = \"certs/gateway.crt\"\nkey = \"certs/gateway.key\"\n\
                      [[group]]\nname = \"demo\"\nsecret_file = \"certs/demo.secret\"\n";
        fs::write(dir.path().join("gateway.toml"), config).unwrap();
        let config = Some(dir.path().join("gateway.toml"));
        let args = GatewayArgs { config, ..GatewayArgs::default() };
        let sources = Sources { args, log: LogArgs::default() };
        let mut settings = sources.load().unwrap().settings;
        let reloader = Reloader::new(sources, &settings);
        let feed = gateway::feed(&mut settings).unwrap();
        let config = gateway::configure(settings, feed.groups(), 1024);
        let gateway = Gateway::start(&config, Arc::new(System::default()), PERIOD).unwrap();
        Self { dir, reloader, gateway }
    }

    fn replace(&self, name: &str) {
        let at = |dir: &str| self.dir.path().join(dir).join(name);
        fs::copy(at("other"), at("certs")).unwrap();
    }

    /// Whether a client that trusts the CA in `dir` alone is content with what it is shown.
    async fn shows(&self, dir: &str) -> bool {
        let (addr, ca) =
            (self.gateway.addresses().tunnels, self.dir.path().join(dir).join("ca.crt"));
        tokio::task::spawn_blocking(move || is_content(addr, &ca)).await.unwrap()
    }
}

fn make_certificates(dir: &TempDir, name: &str) {
    let args = CertsArgs { dir: dir.path().join(name), name: vec![], group: vec!["demo".into()] };
    certs::run(&args, &mut Vec::new()).unwrap();
}

fn is_content(addr: SocketAddr, ca: &Path) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let mut tls = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut tcp = TcpStream::connect(addr).unwrap();
    while tls.is_handshaking() {
        if tls.complete_io(&mut tcp).is_err() {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_over_by_itself() {
    let mut scene = Scene::start();
    assert!(scene.shows("certs").await && !scene.shows("other").await);
    // The certificate is there a moment before its key.
    scene.replace("gateway.crt");
    tokio::time::pause();
    scene.reloader.certificates_changed().await;
    tokio::time::resume();
    scene.reloader.certificates(&scene.gateway).await;
    assert!(scene.reloader.trouble.as_ref().unwrap().text.contains("do not fit together"));
    assert!(scene.shows("certs").await);
    scene.replace("gateway.key");
    tokio::time::pause();
    scene.reloader.certificates_changed().await;
    tokio::time::resume();
    scene.reloader.certificates(&scene.gateway).await;
    assert_eq!(scene.reloader.trouble, None);
    assert!(scene.shows("other").await && !scene.shows("certs").await);
    assert_eq!(scene.reloader.certificates.look().await, scene.reloader.certificates.seen);
}

#[tokio::test]
async fn another_certificate_file_is_noticed() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("gateway.crt");
    fs::write(&path, "one").unwrap();
    let watched = Watched::new(vec![path.clone()]);
    assert_eq!(watched.look().await, watched.seen);
    fs::write(path.with_extension("new"), "three").unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    assert_ne!(watched.look().await, watched.seen);
    fs::remove_file(&path).unwrap();
    assert_eq!(watched.look().await, [None]);
}

#[test]
fn what_takes_a_restart_is_named() {
    let before = [("listen", "a".to_owned()), ("http", "b".to_owned())];
    let now = [("listen", "a".to_owned()), ("http", "c".to_owned())];
    assert_eq!(changed(&before, &now).collect::<Vec<_>>(), ["http"]);
}

#[tokio::test]
async fn bounds_and_what_stands_in_front_take_a_restart() {
    let scene = Scene::start();
    let path = scene.dir.path().join("gateway.toml");
    let config = fs::read_to_string(&path).unwrap();
    let front = "ws_socket = \"ws\"\ntrusted_proxies = [\"10.0.0.1\"]\n\
                 trusted_header = \"x-forwarded-for\"\n";
    let limits = "[limits]\nmax_users_per_address = 7\nbandwidth = \"1MB\"\n";
    fs::write(&path, format!("{front}{config}{limits}")).unwrap();
    let settings = scene.reloader.sources.load().unwrap().settings;
    let now = fixed(&settings);
    let names = changed(&scene.reloader.fixed, &now).collect::<Vec<_>>();
    let front = ["ws_socket", "trusted_proxies", "trusted_header"];
    assert_eq!(names, [&front[..], &["max_users_per_address", "bandwidth"]].concat());
}
