//! Who may use a group, and who may serve it.
//!
//! ```text
//! generated secret   keyed hash, microseconds                       ─▶ right or wrong
//! chosen password    seen right before (keyed hash)? ─▶ right
//!                    too many failures lately?       ─▶ busy, nothing is hashed
//!                    a turn: addresses take turns, accounts at each do ─▶ busy if there is no place
//!                    Argon2id, two at once, one per credential         ─▶ right or wrong
//! ```
//!
//! A right password is known again by a keyed hash whose key lives as long as the process, so a
//! proxied request costs microseconds and never waits for somebody else's failures. An unknown group
//! costs what a known one does, and nothing says which of both was wrong.
//!
//! Groups may change at any time: a check works on the table it began with, and whoever was let in
//! by an entry that is gone meanwhile is not let in.

mod argon;
mod failed_logins;
mod failures;
mod memory;
mod queue;
mod table;
mod throttle;
mod turns;

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use anyproxy_runtime::Scope;
use anyproxy_transport::{Challenged, ClientCa, NotAccepted};
use anyproxy_wire::handshake::{
    METHOD_CERTIFICATE, METHOD_KEY, METHOD_PASSWORD, METHOD_SECRET, METHOD_TOKEN, ProofCheck,
    Secret, Verifier, check_client_proof, gateway_proof,
};

use crate::{
    certified::{self, NotCertified},
    config::{Credential, GroupConfig},
    enrolment::{Enrolments, NoEnrolments, Proven, check_key},
    ingress::{Authenticate, Denied, User},
};
use argon::Passwords;
pub use failed_logins::FailedLoginFigures;
use failed_logins::FailedLogins;
use failures::Failures;
use table::Table;
pub use turns::PasswordChecks;

/// Checks clients and proxy users.
#[derive(Debug)]
pub struct Credentials {
    table: RwLock<Arc<Table>>,
    passwords: Passwords,
    /// Stands in for unknown groups and users.
    nobody: Credential,
    no_ca: ClientCa,
    failures: Failures,
    client_failures: Failures,
    failed_logins: FailedLogins,
    enrolments: Arc<dyn Enrolments>,
}

/// Why a client is not let in.
#[derive(Debug)]
pub(crate) enum NotLetIn {
    /// As proxy users are told.
    Denied(Denied),
    /// Its certificate will not do.
    Certificate(NotCertified),
}

impl From<Denied> for NotLetIn {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

/// A client that proved itself.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) group: Arc<str>,
    /// What it proved.
    pub(crate) proven: Proven,
    /// What goes into Welcome; only method 1 has one.
    pub(crate) proof: Option<[u8; 32]>,
}

impl Credentials {
    /// Takes the groups' credentials over. What counts failures for the log runs in `scope`.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(groups: &[GroupConfig], scope: &Scope) -> Result<Self, getrandom::Error> {
        let mut nobody = [0; 32];
        getrandom::fill(&mut nobody)?;
        Ok(Self {
            table: RwLock::new(Arc::new(Table::new(groups))),
            nobody: Credential::Verifier(Verifier::from_secret(&Secret::new(nobody.to_vec()))),
            no_ca: ClientCa::nobodys(),
            failures: Failures::new("proxy log-ins", scope.clone()),
            client_failures: Failures::new("client log-ins", scope.clone()),
            failed_logins: FailedLogins::default(),
            passwords: Passwords::new()?,
            enrolments: Arc::new(NoEnrolments),
        })
    }

    /// The same, with clients that have keys of their own.
    pub(crate) fn with_enrolments(self, enrolments: Arc<dyn Enrolments>) -> Self {
        Self { enrolments, ..self }
    }

    /// Replaces everything that is kept. Passwords that stay as they are are still known.
    pub(crate) fn set_groups(&self, groups: &[GroupConfig]) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        *table = Arc::new(table.replaced(groups));
    }

    /// Log-ins of proxy users that failed.
    pub(crate) fn failed_logins(&self) -> FailedLoginFigures {
        self.failed_logins.snapshot()
    }

    /// How passwords that people chose were checked.
    pub(crate) fn password_checks(&self) -> PasswordChecks {
        self.passwords.checks()
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Methods with which clients may log in, the preferred first: the same for every group, so that
    /// they do not tell which groups exist.
    pub(crate) const METHODS: &[u64] =
        &[METHOD_KEY, METHOD_CERTIFICATE, METHOD_SECRET, METHOD_PASSWORD, METHOD_TOKEN];

    /// Checks a client's proof. Cancel safe.
    pub(crate) async fn check_client(&self, client: &Challenged) -> Result<Admitted, NotLetIn> {
        let checked = match client.method() {
            METHOD_CERTIFICATE => self.check_certificate(client).map_err(NotLetIn::Certificate),
            METHOD_KEY => self.check_key(client).map_err(NotLetIn::from),
            _ => self.check_proof(client).await.map_err(NotLetIn::from),
        };
        if checked.is_err() {
            self.note_client(client.peer().ip());
        }
        checked
    }

    /// Counts a client's failure for the log.
    pub(crate) fn note_client(&self, peer: IpAddr) {
        self.client_failures.note(peer);
    }

    /// The group whose key it is.
    fn check_key(&self, client: &Challenged) -> Result<Admitted, Denied> {
        let key = check_key(client, &*self.enrolments).ok_or(Denied::Wrong)?;
        // Of a group that is gone there may be keys.
        let table = self.table();
        let known = table.groups.get_key_value(&*client.hello().principal);
        let (group, _) = known.ok_or(Denied::Wrong)?;
        self.enrolments.seen(&key);
        Ok(Admitted { group: Arc::clone(group), proven: Proven::Key(key), proof: None })
    }

    async fn known_user(&self, name: &str, password: &[u8], peer: IpAddr) -> Result<User, Denied> {
        let table = self.table();
        let account = table.users.get_key_value(name);
        let kept = account.map_or(&self.nobody, |(_, account)| &account.password);
        let purpose = Purpose { kind: "user", name };
        self.check(&table, kept, purpose, (password, peer)).await?;
        let (name, account) = account.ok_or(Denied::Wrong)?;
        // A slow check may outlive what it checked against.
        if self.table().users.get(name) != Some(account) {
            return Err(Denied::Wrong);
        }
        Ok(User {
            group: Arc::clone(&account.group),
            name: Arc::clone(name),
            credential: account.number,
        })
    }

    /// The group whose CA issued the certificate. For one without a CA it is looked at all the same.
    fn check_certificate(&self, client: &Challenged) -> Result<Admitted, NotCertified> {
        let table = self.table();
        let known = table.client_cas.get_key_value(&*client.hello().principal);
        let (name, ca) = known.map_or((None, &self.no_ca), |(name, ca)| (Some(name), ca));
        let certified = certified::check(client, ca)?;
        let group = name.ok_or_else(|| NotAccepted::Issuer("there is no such CA".into()))?;
        let proven = Proven::Certificate(certified);
        Ok(Admitted { group: Arc::clone(group), proven, proof: None })
    }

    async fn check_proof(&self, client: &Challenged) -> Result<Admitted, Denied> {
        let hello = client.hello();
        let table = self.table();
        let known = table.groups.get_key_value(&*hello.principal);
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
                self.check(&table, kept, account, (proof, client.peer().ip())).await.map(|()| None)
            }
            _ => Err(Denied::Wrong),
        };
        match (proven, name) {
            (Ok(proof), Some(group)) => {
                let proven = Proven::Secret(kept.clone());
                Ok(Admitted { group: Arc::clone(group), proven, proof })
            }
            (Ok(_), None) => Err(Denied::Wrong),
            (Err(denied), _) => Err(denied),
        }
    }

    async fn check(
        &self,
        table: &Table,
        kept: &Credential,
        account: Purpose<'_>,
        (presented, peer): (&[u8], IpAddr),
    ) -> Result<(), Denied> {
        match kept {
            Credential::Verifier(verifier) => {
                // Compares in constant time.
                let presented = Verifier::from_secret(&Secret::new(presented.to_vec()));
                if presented == *verifier {
                    return Ok(());
                }
                // Where any group's check is slow, a failure must not tell this one from it.
                if let Some(slow) = &table.slow {
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
        let checked = self.known_user(name, password, peer).await;
        if let Err(denied) = checked {
            self.failed_logins.count(denied);
            self.failures.note(peer);
        }
        checked
    }

    fn is_still_valid(&self, user: &User) -> bool {
        let table = self.table();
        let account = table.users.get(&user.name);
        account.is_some_and(|account| account.number == user.credential)
    }
}

#[cfg(test)]
mod tests;
