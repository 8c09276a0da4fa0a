//! Groups with secrets of their own.

use std::net::SocketAddr;

use anyproxy_client::{Client, ClientConfig, State};
use anyproxy_gateway::{Credential, GroupConfig, GroupLimits, PortRule, UserConfig};
use anyproxy_transport::Transport;
use anyproxy_wire::handshake::{Secret, Verifier};

use crate::{
    lab::{Options, Site},
    party::Party,
    target,
    user::As,
};

/// What is kept of a generated secret.
#[must_use]
pub fn kept(secret: &str) -> Credential {
    Credential::Verifier(Verifier::from_secret(&Secret::new(secret)))
}

/// A group whose clients and only user have this secret, the user the group's name, and which may
/// have any port.
#[must_use]
pub fn group(name: &str, secret: &str) -> GroupConfig {
    GroupConfig {
        name: name.into(),
        tunnel: kept(secret),
        client_ca: None,
        users: vec![UserConfig { name: name.into(), password: kept(secret) }],
        ports: vec![PortRule { address: None, first: 0, last: u16::MAX }],
        limits: GroupLimits::default(),
    }
}

/// What a client called `id` of a group runs with.
#[must_use]
pub fn member(party: &Party, id: &str, group: &str, secret: &str) -> ClientConfig {
    let mut config = party.config(id);
    config.group = group.into();
    config.secret = Secret::new(secret);
    config
}

/// Waits until the client is without a session, and says why it is.
///
/// # Panics
/// When the client ends.
pub async fn refused(client: &Client) -> String {
    let mut state = client.state();
    let waiting = state.wait_for(|state| matches!(state, State::Waiting(_))).await.unwrap().clone();
    let State::Waiting(reason) = waiting else { panic!("{waiting:?}") };
    reason
}

/// The user of group red in a [`town`].
pub const RED: As = As { name: "red", password: "red secret" };
/// The user of group blue.
pub const BLUE: As = As { name: "blue", password: "blue secret" };

/// Group red.
#[must_use]
pub fn red() -> GroupConfig {
    group(RED.name, RED.password)
}

/// Group blue.
#[must_use]
pub fn blue() -> GroupConfig {
    group(BLUE.name, BLUE.password)
}

/// A simulated gateway with groups red and blue, and an echo.
#[must_use]
pub fn town(transport: Transport) -> (Party, SocketAddr) {
    let (site, _world) = Site::simulated();
    let echo = target::echo(&site);
    let party = Party::start(site, Options::new(transport));
    party.gateway.set_groups(&[red(), blue()]);
    (party, echo)
}
