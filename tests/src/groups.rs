//! Groups with secrets of their own.

use anyproxy_client::{Client, ClientConfig, State};
use anyproxy_gateway::{Credential, GroupConfig, GroupLimits, PortRule, UserConfig};
use anyproxy_wire::handshake::{Secret, Verifier};

use crate::party::Party;

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
