//! Clients that prove themselves with a certificate instead of a secret.
//!
//! ```text
//! TLS: a certificate, its key proven ─▶ log-in: bound to that TLS ─▶ issued by a CA of the group? ─▶ in
//! ```
//!
//! A certificate lets into the one group whose CA has issued it. It is looked at as of the moment of the
//! log-in: a session does not end because its certificate does, but no further tunnel joins it then.

use anyproxy_transport::{Challenged, ClientCa, NotAccepted, OfferedCertificate};
use anyproxy_wire::handshake::{ProofCheck, check_certificate_proof};

/// A certificate that let a client in, and under which CAs.
#[derive(Debug, Clone)]
pub(crate) struct Certified {
    offered: OfferedCertificate,
    ca: ClientCa,
}

/// Why a certificate does not let its client in, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotCertified {
    /// Who logs in is not who has shown the certificate.
    #[error(
        "this log-in came through something that ends TLS and showed a certificate of its own (a reverse \
         proxy?), which logs nobody in: connect straight, or use a secret"
    )]
    Unbound,
    /// The certificate itself.
    #[error(transparent)]
    NotAccepted(#[from] NotAccepted),
}

/// Whether both were issued to one subject, for one group: a client renews its certificate.
impl PartialEq for Certified {
    fn eq(&self, other: &Self) -> bool {
        self.offered.is_of_the_same(&other.offered)
    }
}

impl Eq for Certified {}

impl Certified {
    /// The subject, for people.
    pub(crate) fn subject(&self) -> &str {
        self.offered.subject()
    }

    /// Whether it was checked under just these CAs.
    pub(crate) fn is_under(&self, ca: Option<&ClientCa>) -> bool {
        ca == Some(&self.ca)
    }

    /// Whether it would have been let in under these CAs as well.
    pub(crate) fn holds_under(&self, ca: Option<&ClientCa>) -> bool {
        ca.is_some_and(|ca| *ca == self.ca || ca.check(&self.offered).is_ok())
    }
}

/// Whether the certificate that the client has shown lets it into a group with this CA.
pub(crate) fn check(client: &Challenged, ca: &ClientCa) -> Result<Certified, NotCertified> {
    let proof = client.auth().proof.expose();
    let offered = client.certificate().ok_or(NotCertified::Unbound)?;
    if check_certificate_proof(client.transcript(), proof) == ProofCheck::Wrong {
        return Err(NotCertified::Unbound);
    }
    ca.check(offered)?;
    Ok(Certified { offered: offered.clone(), ca: ca.clone() })
}
