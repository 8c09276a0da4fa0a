//! A gateway on the simulated network, and a client's file about it.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use anyproxy::{
    cli::{ClientArgs, LogArgs},
    doctor::{Report, Surroundings, examine_client},
    settings::{ClientSettings, Outside},
};
use anyproxy_client::Client;
use anyproxy_gateway::Gateway;
use anyproxy_tests::{
    lab::{self, Certificates, GROUP, Options, SECRET, Site},
    net::{LinkHandle, World},
};
use anyproxy_transport::{
    Pin, Transport,
    net::{Conn, Role},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tempfile::TempDir;

pub(crate) struct Clinic {
    pub(crate) site: Site,
    pub(crate) world: World,
    pub(crate) gateway: Gateway,
    certificates: Certificates,
    dir: TempDir,
}

impl Clinic {
    pub(crate) fn new() -> Self {
        Self::with(Certificates::new(&["gateway.test"]), Options::new(Transport::Quic))
    }

    pub(crate) fn with(certificates: Certificates, options: Options) -> Self {
        let (site, world) = Site::simulated();
        world.name("gateway.test", &[site.gateway_ip]);
        let gateway = lab::start_gateway(&site, &options, &certificates);
        let dir = TempDir::new().unwrap();
        let clinic = Self { site, world, gateway, certificates, dir };
        std::fs::write(clinic.path("ca.crt"), &clinic.certificates.ca).unwrap();
        std::fs::write(clinic.path("secret"), SECRET).unwrap();
        clinic
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What is between the client and the gateway.
    pub(crate) fn link(&self) -> LinkHandle {
        self.world.link([198, 18, 0, 2].into(), self.site.gateway_ip)
    }

    /// The pin of the gateway's CA.
    pub(crate) fn pin(&self) -> Pin {
        let ca = CertificateDer::from_pem_slice(self.certificates.ca.as_bytes()).unwrap();
        Pin::of(&ca).unwrap()
    }

    /// A machine on which nothing is wrong.
    pub(crate) fn here(&self) -> Surroundings {
        Surroundings {
            net: Arc::clone(&self.site.client),
            now: SystemTime::now(),
            udp_buffers: None,
            path_mtu: |_| None,
            files: None,
            proxy_variables: vec![],
        }
    }

    /// Examines a client with a file that is right but for `more`.
    pub(crate) async fn examine(&self, more: &str) -> Report {
        self.examine_in(more, &self.here()).await
    }

    pub(crate) async fn examine_in(&self, more: &str, here: &Surroundings) -> Report {
        let settings = self.settings("ca = \"ca.crt\"\n", more);
        examine_client(settings, here).await
    }

    pub(crate) async fn examine_trusting(&self, trust: &str, more: &str) -> Report {
        examine_client(self.settings(trust, more), &self.here()).await
    }

    fn settings(&self, trust: &str, more: &str) -> ClientSettings {
        let port = self.gateway.addresses().tunnels.port();
        let base = format!(
            "gateway = \"gateway.test:{port}\"\ngroup = \"{GROUP}\"\nsecret_file = \"secret\"\n"
        );
        std::fs::write(self.path("client.toml"), base + trust + more).unwrap();
        let args = ClientArgs { config: Some(self.path("client.toml")), ..ClientArgs::default() };
        let loaded = ClientSettings::load(&args, &LogArgs::default(), &mut Nothing);
        loaded.unwrap().settings
    }

    /// A client that runs, called `lab`.
    pub(crate) fn client(&self, options: &Options) -> Client {
        let at = self.gateway.addresses().tunnels;
        lab::start_client(&self.site, options, &self.certificates, at)
    }

    /// A user of a forwarded port.
    pub(crate) async fn user(&self, port: std::net::SocketAddr) -> Conn {
        self.site.user.connect(port, Role::Proxied).await.unwrap()
    }
}

/// An environment without variables.
struct Nothing;

impl Outside for Nothing {
    fn secret_variable(&self) -> Option<Vec<u8>> {
        None
    }

    fn standard_input(&mut self) -> std::io::Result<Vec<u8>> {
        Ok(vec![])
    }

    fn host_name(&self) -> Option<String> {
        Some("clinic".into())
    }
}

/// Certificates of which the gateway's is valid between two moments.
pub(crate) fn valid(from: SystemTime, to: SystemTime) -> Certificates {
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["gateway.test".into()]).unwrap();
    (leaf.not_before, leaf.not_after) = (from.into(), to.into());
    let leaf = leaf.signed_by(&key, &ca).unwrap();
    Certificates {
        chain: format!("{}{}", leaf.pem(), ca.pem()),
        ca: ca.pem(),
        key: key.serialize_pem(),
    }
}
