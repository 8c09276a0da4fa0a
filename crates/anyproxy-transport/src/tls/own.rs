//! A client's own certificate, shown to gateways that ask for one.

use std::{fmt, sync::Arc};

use rustls::{ClientConfig, client::Resumption};
use webpki::EndEntityCert;

use super::{Identity, IdentityError, Shown};

/// The certificate with which a client proves itself. All clones are one: it may be replaced while the client
/// runs.
#[derive(Clone)]
pub struct OwnCertificate(Arc<Shown>);

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnCertificate")
    }
}

impl OwnCertificate {
    /// Of a chain and its key.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] when no gateway would read it: `openssl x509 -req` without extensions
    /// makes one of version 1, which TLS libraries have given up.
    pub fn new(identity: &Identity) -> Result<Self, IdentityError> {
        check(identity)?;
        Ok(Self(Shown::new(identity)))
    }

    /// Shows another one from now on. Tunnels that are up go on.
    ///
    /// # Errors
    /// As [`OwnCertificate::new`]; the former one stays.
    pub fn set(&self, identity: &Identity) -> Result<(), IdentityError> {
        check(identity)?;
        self.0.set(identity);
        Ok(())
    }

    /// Has a client's TLS show it. A resumed TLS session would show nothing and be asked for nothing (RFC 8446,
    /// 4.3.2), so none is resumed: a gateway that only now asks for certificates would never get one.
    pub(crate) fn present(&self, config: Arc<ClientConfig>) -> Arc<ClientConfig> {
        let mut config = Arc::unwrap_or_clone(config);
        config.client_auth_cert_resolver = Arc::<Shown>::clone(&self.0);
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }
}

fn check(identity: &Identity) -> Result<(), IdentityError> {
    let Some(leaf) = identity.chain().first() else { return Ok(()) };
    match EndEntityCert::try_from(leaf) {
        Ok(_) => Ok(()),
        Err(webpki::Error::UnsupportedCertVersion) => Err(IdentityError::Certificate(
            "it is no X.509 certificate of version 3; openssl x509 makes one with -extfile".into(),
        )),
        Err(error) => Err(IdentityError::Certificate(error.to_string())),
    }
}
