//! A gateway, and a client that chooses its transport, on the simulated network.

use std::{net::SocketAddr, time::Duration};

use anyproxy_client::{Choice, Client, State};
use anyproxy_transport::{Transport, net::Conn};
use tokio::time::{Instant, timeout};

use crate::{
    lab::{self, Options, Site},
    net::{Capture, Carrier, LinkHandle, World},
    party::{Party, ping},
    target,
};

/// What takes longer never happens.
pub const LONG: Duration = Duration::from_secs(1200);

/// A gateway, and what a client of it needs.
pub struct Pair {
    /// The gateway.
    pub party: Party,
    /// The network.
    pub world: World,
    /// Answers with what it gets.
    pub target: SocketAddr,
    /// What carries the client's tunnels.
    pub choice: Choice,
}

impl Pair {
    /// With all defaults.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self::with(choice, Options::new(Transport::Quic))
    }

    /// The options' transport does not matter.
    #[must_use]
    pub fn with(choice: Choice, options: Options) -> Self {
        let (site, world) = Site::simulated();
        let target = target::echo(&site);
        Self { party: Party::start(site, options), world, target, choice }
    }

    /// What is between the client and the gateway.
    #[must_use]
    pub fn link(&self) -> LinkHandle {
        self.world.link([198, 18, 0, 2].into(), self.party.site.gateway_ip)
    }

    /// Starts a client with a port forwarded to the echo.
    #[must_use]
    pub fn client(&self, replicas: u32) -> Client {
        self.client_to(replicas, self.target)
    }

    /// Starts a client with a port forwarded to `target`.
    #[must_use]
    pub fn client_to(&self, replicas: u32, target: SocketAddr) -> Client {
        let mut config = self.party.config("pair");
        (config.transport, config.replicas) = (self.choice, replicas);
        config.forwards = vec![self.party.any_port(target)];
        self.party.client(config)
    }

    /// A client that is connected, with its forwarded port.
    pub async fn connected(&self) -> (Client, SocketAddr) {
        let client = self.client(1);
        let ports = timeout(LONG, lab::connected(&client)).await.expect("no session");
        (client, ports[0])
    }

    /// A new connection through the port works; how long that took.
    pub async fn works(&self, port: SocketAddr) -> Duration {
        let began = Instant::now();
        let once = async {
            let mut user = self.party.user(port).await;
            ping(&mut user).await
        };
        timeout(LONG, once).await.expect("nothing comes back").unwrap();
        began.elapsed()
    }

    /// A user whose connection works.
    pub async fn user(&self, port: SocketAddr) -> Conn {
        let mut user = self.party.user(port).await;
        ping(&mut user).await.unwrap();
        user
    }
}

/// What carries the client's session.
#[must_use]
pub fn transport(client: &Client) -> Option<Transport> {
    match &*client.state().borrow() {
        State::Connected { transport, .. } => Some(*transport),
        State::Connecting | State::Waiting(_) | State::Ended => None,
    }
}

/// Waits until the session is carried by `wanted`; how long that took.
pub async fn carried(client: &Client, wanted: Transport) -> Duration {
    let began = Instant::now();
    let mut state = client.state();
    let there =
        |state: &State| matches!(state, State::Connected { transport, .. } if *transport == wanted);
    let there = state.wait_for(there);
    let _ = timeout(LONG, there).await.expect("never carried").unwrap();
    began.elapsed()
}

/// TCP packets with data that were recorded.
#[must_use]
pub fn tcp(capture: &Capture) -> usize {
    capture.take().iter().filter(|record| record.carrier == Carrier::Tcp).count()
}
