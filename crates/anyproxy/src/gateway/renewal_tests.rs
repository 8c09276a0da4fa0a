//! A gateway that renews its own certificate while it runs: on the simulated network, over both transports, with a clock
//! that passes 60 of the certificate's 90 days.
//!
//! TLS asks the machine's clock, so the certificate begins long ago: then both it and its successor are valid now.

use std::{
    fs,
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use anyproxy_runtime::Deadline;
use anyproxy_tests::{
    lab::{self, Certificates, Lab, Options, Site},
    party::ping,
    target,
    user::Way,
};
use anyproxy_transport::{DialConfig, Examiner, Transport};
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

use super::*;
use crate::{
    certs,
    cli::{GatewayArgs, LogArgs},
    own::prepare_at,
};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A gateway with what it made for itself, and a client that is connected.
struct Scene {
    dir: TempDir,
    lab: Lab,
    dial: DialConfig,
}

impl Scene {
    /// The gateway's certificate is of `made`. With what renews it, and what takes that over.
    async fn start(transport: Transport, made: SystemTime) -> (Self, Own, Reloader) {
        let (site, _) = Site::simulated();
        let dir = TempDir::new().unwrap();
        let args = GatewayArgs {
            listen: Some(SocketAddr::new(site.gateway_ip, 0)),
            advertise: Some("gateway.test:8443".parse().unwrap()),
            data_dir: Some(dir.path().to_owned()),
            ..GatewayArgs::default()
        };
        let (args, own) = prepare_at(&args, made).unwrap().unwrap();
        let sources = Sources { args, log: LogArgs::default() };
        let settings = sources.load().unwrap().settings;
        let reloader = Reloader::new(sources, &settings);
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        let certificates = Certificates {
            ca: read("ca.crt"),
            chain: read("gateway.crt"),
            key: read("gateway.key"),
        };
        let options = Options::new(transport);
        let gateway = lab::start_gateway(&site, &options, &certificates);
        let at = gateway.addresses().tunnels;
        let client = lab::start_client(&site, &options, &certificates, at);
        let ports = lab::connected(&client).await;
        let dial = lab::client_config(&site, &options, &certificates, at).gateway;
        let lab = Lab { gateway, client, site, ports };
        (Self { dir, lab, dial }, own, reloader)
    }

    /// The certificate that whoever comes now is shown, over both transports, and accepts.
    async fn shown(&self) -> Vec<u8> {
        let mut leaves = Vec::new();
        // One that was there before could take up its TLS session again, and be shown none.
        let (net, dial) = (self.lab.site.client.clone(), self.dial.clone());
        let examiner = Examiner::new(net, dial, SystemTime::now()).unwrap();
        for transport in [Transport::Quic, Transport::WebSocket] {
            let deadline = Deadline::after(MINUTE);
            drop(examiner.dial(transport, deadline).await.unwrap());
            let shown = examiner.presented(transport).unwrap();
            assert_eq!(shown.verdict, Ok(()));
            leaves.push(shown.chain[0].to_vec());
        }
        assert_eq!(leaves[0], leaves[1]);
        leaves.remove(0)
    }

    fn file(&self) -> Vec<u8> {
        fs::read(self.dir.path().join("gateway.crt")).unwrap()
    }
}

async fn a_certificate_is_renewed_and_nobody_notices(transport: Transport) {
    let made = SystemTime::now() - 89 * DAY;
    let (scene, own, mut reloader) = Scene::start(transport, made).await;
    // After two thirds of its time it is renewed, with the second look of each hour.
    let (from, _) = certs::validity(&scene.file()).unwrap();
    let from = UNIX_EPOCH + Duration::from_secs(from.try_into().unwrap());
    let (began, start) = (Instant::now(), from + 60 * DAY - 90 * MINUTE);
    let clock = move || start + began.elapsed();
    let reloading = async {
        loop {
            reloader.certificates_changed().await;
            reloader.certificates(&scene.lab.gateway).await;
        }
    };
    let watching = async {
        let target = target::echo(&scene.lab.site);
        let mut live = scene.lab.connect(Way::Http, target).await;
        let (file, first) = (scene.file(), scene.shown().await);
        sleep_until(began + 119 * MINUTE).await;
        assert_eq!((scene.file(), scene.shown().await), (file.clone(), first.clone()), "not yet");
        sleep_until(began + 122 * MINUTE).await;
        let (renewed, second) = (scene.file(), scene.shown().await);
        assert!(renewed != file && second != first);
        let (from, until) = certs::validity(&renewed).unwrap();
        assert_eq!(until - from, 90 * 86_400);
        ping(&mut live).await.unwrap();
        ping(&mut scene.lab.connect(Way::Http, target).await).await.unwrap();
        let client = scene.lab.client.watched().figures();
        assert_eq!((client.replicas[0].sessions, client.replicas[0].moves), (1, 0));
        assert_eq!(scene.lab.gateway.sessions(), 1);
    };
    tokio::select! {
        never = own.keep_renewed_by(clock) => match never {},
        () = reloading => panic!("it goes on for ever"),
        () = watching => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_and_nobody_notices_over_quic() {
    a_certificate_is_renewed_and_nobody_notices(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_and_nobody_notices_over_websocket() {
    a_certificate_is_renewed_and_nobody_notices(Transport::WebSocket).await;
}
