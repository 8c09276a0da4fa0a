//! Groups, as the configuration file and the store have them.
//!
//! ```text
//! configuration file ──▶ groups ─┐
//!                                ├─ merge ─▶ the groups that a gateway serves
//! store ───────────────▶ groups ─┘           (and what is shadowed)
//! ```
//!
//! The file wins: a group of the store whose name is in the file, and a user of the store whose name the
//! file uses in any group, have no effect. Whoever can write the file owns the gateway, so nothing that
//! is changed at run time can take a name away from it.

mod credential;
mod merge;

pub use anyproxy_gateway::GroupLimits;
use anyproxy_transport::tls::ClientCa;
pub use credential::{Credential, PasswordHash};
pub use merge::{Merged, Names, Shadowed, merge};

use crate::values::ForwardRule;

/// A group: whose clients serve it, who may use them, and its share of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// Its name.
    pub name: String,
    /// What its clients' secret is checked with.
    pub tunnel: Credential,
    /// Whose certificates its clients may show instead; only groups of the file have that.
    pub client_ca: Option<ClientCa>,
    /// Its proxy users; their names are unique over all groups.
    pub users: Vec<UserSettings>,
    /// Gateway ports that its clients may ask for.
    pub forwards: Vec<ForwardRule>,
    /// Its share.
    pub limits: GroupLimits,
}

/// A proxy user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSettings {
    /// The name to log in with.
    pub name: String,
    /// What the password is checked with.
    pub password: Credential,
}

/// What may be said of a group: everything but its credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOutline {
    /// Its name.
    pub name: String,
    /// The names of its proxy users.
    pub users: Vec<String>,
    /// Gateway ports that its clients may ask for.
    pub forwards: Vec<ForwardRule>,
    /// Its share.
    pub limits: GroupLimits,
}

impl GroupSettings {
    /// The group without its credentials.
    #[must_use]
    pub fn outline(&self) -> GroupOutline {
        GroupOutline {
            name: self.name.clone(),
            users: self.users.iter().map(|user| user.name.clone()).collect(),
            forwards: self.forwards.clone(),
            limits: self.limits,
        }
    }
}
