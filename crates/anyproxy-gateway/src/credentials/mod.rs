//! Who may use a group, and who may serve it.
//!
//! ```text
//! generated secret   keyed hash, microseconds                       ─▶ right or wrong
//! chosen password    seen right before (keyed hash)? ─▶ right
//!                    too many failures lately?       ─▶ busy, nothing is hashed
//!                    Argon2id, two at once, one per credential       ─▶ right or wrong
//! ```
//!
//! A right password is known again by a keyed hash whose key lives as long as the process, so a
//! proxied request costs microseconds and never waits for somebody else's failures. An unknown group
//! costs what a known one does, and nothing says which of both was wrong.

mod argon;
mod failures;
mod throttle;

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use anyproxy_transport::Challenged;
use anyproxy_wire::handshake::{
    METHOD_PASSWORD, METHOD_SECRET, ProofCheck, Secret, Verifier, check_client_proof, gateway_proof,
};

use crate::{
    config::{Credential, GroupConfig},
    ingress::{Authenticate, Denied, User},
};
use argon::Passwords;
use failures::Failures;

/// Checks clients and proxy users.
#[derive(Debug)]
pub struct Credentials {
    /// What each group's clients prove.
    groups: HashMap<Arc<str>, Credential>,
    users: HashMap<Arc<str>, Account>,
    passwords: Passwords,
    /// Stands in for unknown groups and users.
    nobody: Credential,
    /// An Argon2id hash of some group, if there is one.
    slow: Option<String>,
    failures: Failures,
}

/// A proxy user.
#[derive(Debug, Clone)]
struct Account {
    group: Arc<str>,
    password: Credential,
}

/// A client that proved itself.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) group: Arc<str>,
    /// What goes into Welcome; only method 1 has one.
    pub(crate) proof: Option<[u8; 32]>,
}

impl Credentials {
    /// Takes the groups' credentials over.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(groups: &[GroupConfig]) -> Result<Self, getrandom::Error> {
        let mut users = HashMap::new();
        let mut tunnels = HashMap::new();
        for group in groups {
            let name: Arc<str> = Arc::from(group.name.as_str());
            for user in &group.users {
                let account = Account { group: Arc::clone(&name), password: user.password.clone() };
                users.insert(Arc::from(user.name.as_str()), account);
            }
            tunnels.insert(name, group.tunnel.clone());
        }
        let mut nobody = [0; 32];
        getrandom::fill(&mut nobody)?;
        let nobody = Credential::Verifier(Verifier::from_secret(&Secret::new(nobody.to_vec())));
        let kept = |group: &'_ GroupConfig| {
            let users = group.users.iter().map(|user| user.password.clone());
            users.chain([group.tunnel.clone()]).collect::<Vec<_>>()
        };
        let slow = groups.iter().flat_map(kept).find_map(|kept| match kept {
            Credential::Argon2id(hash) => Some(hash),
            Credential::Verifier(_) => None,
        });
        Ok(Self {
            nobody,
            slow,
            failures: Failures::default(),
            groups: tunnels,
            users,
            passwords: Passwords::new()?,
        })
    }

    /// Methods with which clients may log in, the preferred first: the same for every group, so that
    /// they do not tell which groups exist.
    pub(crate) const METHODS: &[u64] = &[METHOD_SECRET, METHOD_PASSWORD];

    /// Checks a client's proof. Cancel safe.
    pub(crate) async fn check_client(&self, client: &Challenged) -> Result<Admitted, Denied> {
        let hello = client.hello();
        let known = self.groups.get_key_value(&*hello.principal);
        let (name, kept) = known.map_or((None, &self.nobody), |(name, kept)| (Some(name), kept));
        let proof = client.auth().proof.expose();
        let proven = match (client.method(), kept) {
            (METHOD_SECRET, Credential::Verifier(verifier)) => {
                match check_client_proof(verifier, client.transcript(), proof) {
                    ProofCheck::Right => Ok(Some(gateway_proof(verifier, client.transcript()))),
                    ProofCheck::Wrong => Err(Denied::Wrong),
                }
            }
            (METHOD_PASSWORD, kept) => {
                let account = Purpose { kind: "client", name: &hello.principal };
                self.check(kept, account, proof, client.peer().ip()).await.map(|()| None)
            }
            _ => Err(Denied::Wrong),
        };
        match (proven, name) {
            (Ok(proof), Some(group)) => Ok(Admitted { group: Arc::clone(group), proof }),
            (Ok(_), None) => Err(Denied::Wrong),
            (Err(denied), _) => Err(denied),
        }
    }

    async fn check(
        &self,
        kept: &Credential,
        account: Purpose<'_>,
        presented: &[u8],
        peer: IpAddr,
    ) -> Result<(), Denied> {
        match kept {
            Credential::Verifier(verifier) => {
                // Compares in constant time.
                let presented = Verifier::from_secret(&Secret::new(presented.to_vec()));
                if presented == *verifier {
                    return Ok(());
                }
                // Where any group's check is slow, a failure must not tell this one from it.
                if let Some(slow) = &self.slow {
                    self.passwords
                        .check(slow, account, presented.to_text().as_bytes(), peer)
                        .await?;
                }
                Err(Denied::Wrong)
            }
            Credential::Argon2id(hash) => {
                self.passwords.check(hash, account, presented, peer).await
            }
        }
    }
}

/// What a password is for; the same text for another account is another credential.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose<'a> {
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
}

impl Authenticate for Credentials {
    async fn check_user(&self, name: &str, password: &[u8], peer: IpAddr) -> Result<User, Denied> {
        let account = self.users.get_key_value(name);
        let kept = account.map_or(&self.nobody, |(_, account)| &account.password);
        let checked = self.check(kept, Purpose { kind: "user", name }, password, peer).await;
        if checked.is_err() {
            self.failures.note(peer);
        }
        checked?;
        let (name, account) = account.ok_or(Denied::Wrong)?;
        Ok(User { group: Arc::clone(&account.group), name: Arc::clone(name) })
    }
}

#[cfg(test)]
mod tests;
