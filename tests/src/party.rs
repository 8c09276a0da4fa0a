//! One gateway and several clients.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_client::{Client, ClientConfig, Forward, State};
use anyproxy_gateway::{Gateway, PortRule};
use anyproxy_transport::net::{Conn, Net, Role};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    lab::{self, Certificates, Options, Site},
    user::Doors,
};

/// A gateway, and what its clients need to know.
pub struct Party {
    /// Where things are.
    pub site: Site,
    /// What the gateway and its clients run with.
    pub options: Options,
    /// The gateway's, so that it can be started again.
    pub certificates: Certificates,
    /// The gateway.
    pub gateway: Gateway,
    ports: PortRule,
}

impl Party {
    /// Starts a gateway whose groups may listen anywhere.
    #[must_use]
    pub fn start(site: Site, options: Options) -> Self {
        Self::with(site, options, PortRule { address: None, first: 0, last: u16::MAX })
    }

    /// Starts a gateway whose groups may listen at these ports.
    #[must_use]
    pub fn with(site: Site, options: Options, ports: PortRule) -> Self {
        let certificates = Certificates::new(&["gateway.test"]);
        let gateway = start_gateway(&site, &options, &certificates, (0, ports));
        Self { site, options, certificates, gateway, ports }
    }

    /// Ends the gateway and starts another one at the same port for tunnels.
    pub async fn restart(self) -> Self {
        let Self { site, options, certificates, gateway, ports } = self;
        let port = gateway.addresses().tunnels.port();
        gateway.shutdown(Duration::ZERO).await;
        // quinn lets go of the port a moment after it was closed.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let gateway = start_gateway(&site, &options, &certificates, (port, ports));
        Self { site, options, certificates, gateway, ports }
    }

    /// Lets the groups listen at other ports, from now on.
    pub fn set_ports(&self, ports: &[PortRule]) {
        let mut config = lab::gateway_config(&self.site, &self.options, &self.certificates);
        for group in &mut config.groups {
            group.ports = ports.to_vec();
        }
        self.gateway.set_groups(&config.groups);
    }

    /// What a client called `id` runs with; it has no forward.
    #[must_use]
    pub fn config(&self, id: &str) -> ClientConfig {
        let gateway = self.gateway.addresses().tunnels;
        let mut config = lab::client_config(&self.site, &self.options, &self.certificates, gateway);
        config.client_id = id.into();
        config
    }

    /// Starts a client on the client's host.
    #[must_use]
    pub fn client(&self, config: ClientConfig) -> Client {
        self.client_at(self.site.client.clone(), config)
    }

    /// Starts a client elsewhere.
    #[must_use]
    pub fn client_at(&self, net: Arc<dyn Net>, config: ClientConfig) -> Client {
        Client::start(config, net, Duration::from_secs(10)).unwrap()
    }

    /// A forward whose port the gateway chooses.
    #[must_use]
    pub fn any_port(&self, target: SocketAddr) -> Forward {
        forward(SocketAddr::new(self.site.gateway_ip, 0), target)
    }

    /// Where users come in; `ports` are forwarded.
    #[must_use]
    pub fn doors(&self, ports: &[SocketAddr]) -> Doors {
        Doors::of(&self.site, &self.gateway, ports)
    }

    /// A plain connection of a user.
    pub async fn user(&self, port: SocketAddr) -> Conn {
        self.site.user.connect(port, Role::Proxied).await.unwrap()
    }
}

fn start_gateway(
    site: &Site,
    options: &Options,
    certificates: &Certificates,
    (tunnels, ports): (u16, PortRule),
) -> Gateway {
    let mut config = lab::gateway_config(site, options, certificates);
    config.tunnels.addr.set_port(tunnels);
    for group in &mut config.groups {
        group.ports = vec![ports];
    }
    Gateway::start(&config, site.gateway.clone(), Duration::from_secs(10)).unwrap()
}

/// A forward from a port of the gateway to a target.
#[must_use]
pub fn forward(listen: SocketAddr, target: SocketAddr) -> Forward {
    Forward {
        name: "party".into(),
        listen: listen.to_string(),
        target: target.to_string(),
        ..Forward::default()
    }
}

/// Waits until `count` replicas of the client are up.
pub async fn replicas_up(client: &Client, count: u32) {
    let up =
        |state: &State| matches!(state, State::Connected { replicas, .. } if *replicas == count);
    client.state().wait_for(up).await.unwrap();
}

/// Sends a few bytes to an echo and gets them back.
///
/// # Errors
/// When the connection ends or breaks first.
pub async fn ping(conn: &mut Conn) -> std::io::Result<()> {
    conn.write_all(b"ping").await?;
    let mut got = [0; 4];
    conn.read_exact(&mut got).await?;
    assert_eq!(&got, b"ping");
    Ok(())
}
