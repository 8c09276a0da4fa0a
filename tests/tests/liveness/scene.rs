//! A gateway and a client over one transport, and what can be seen of the tunnel between them.

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Client, State};
use anyproxy_tests::{
    lab::{self, Options, Site},
    net::{Host, LinkHandle, World},
    party::{Party, ping},
    target,
    user::eventually,
};
use anyproxy_transport::Transport;
use tokio::time::timeout;

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Scene {
    pub(crate) party: Party,
    pub(crate) world: World,
    pub(crate) client_host: Host,
    /// An echo.
    pub(crate) target: SocketAddr,
}

impl Scene {
    pub(crate) fn new(transport: Transport) -> Self {
        let (mut site, world) = Site::simulated();
        let client_host = world.host("laptop", [198, 18, 0, 8].into());
        site.client = client_host.net();
        let target = target::echo(&site);
        Self { party: Party::start(site, Options::new(transport)), world, client_host, target }
    }

    /// With targets on the client's own host, which stay with it wherever it goes.
    pub(crate) fn with_targets_inside(transport: Transport) -> Self {
        let mut scene = Self::new(transport);
        scene.party.site.target = scene.client_host.net();
        scene.party.site.target_ip = std::net::Ipv4Addr::LOCALHOST.into();
        scene.target = target::echo(&scene.party.site);
        scene
    }

    /// From the client to the gateway.
    pub(crate) fn link(&self) -> LinkHandle {
        self.world.link(self.client_host.ip(), self.party.site.gateway_ip)
    }

    /// A client that is connected, with a forwarded port for each target.
    pub(crate) async fn client(&self, targets: &[SocketAddr]) -> (Client, Vec<SocketAddr>) {
        let mut config = self.party.config("alive");
        config.forwards = targets.iter().map(|target| self.party.any_port(*target)).collect();
        let client = self.party.client(config);
        let ports = lab::connected(&client).await;
        (client, ports)
    }

    /// Waits until the gateway has given the session up.
    pub(crate) async fn gone_at_the_gateway(&self, limit: Duration) {
        eventually("gone at the gateway", limit, || self.party.gateway.sessions() == 0).await;
    }

    /// Asks at the client's first forward again and again until it works.
    pub(crate) async fn serves_within(&self, client: &Client, limit: Duration) {
        let once = || async {
            let port = lab::connected(client).await[0];
            ping(&mut self.party.user(port).await).await
        };
        let serving = async { while !matches!(timeout(500 * MS, once()).await, Ok(Ok(()))) {} };
        timeout(limit, serving).await.expect("not served");
    }

    /// Waits until the client's first forward works again.
    pub(crate) async fn serves_again(&self, client: &Client, limit: Duration) {
        let serving = async {
            let port = lab::connected(client).await[0];
            let mut user = self.party.user(port).await;
            ping(&mut user).await.unwrap();
        };
        timeout(limit, serving).await.expect("not back");
    }
}

pub(crate) fn is_connected(client: &Client) -> bool {
    matches!(*client.state().borrow(), State::Connected { .. })
}

/// Waits until both ends have given the tunnel up.
pub(crate) async fn both_notice(scene: &Scene, client: &Client, limit: Duration) {
    let gateway = scene.gone_at_the_gateway(limit);
    let at_client = eventually("gone at the client", limit, || !is_connected(client));
    tokio::join!(gateway, at_client);
}
