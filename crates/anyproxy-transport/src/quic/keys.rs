//! Keys of the gateway's UDP socket that outlive its process.
//!
//! A gateway that was killed and started again gets packets of connections that it knows nothing of.
//! It answers them with a *stateless reset* (RFC 9000, 10.3), and the client, which learnt the token for
//! that from the gateway's former process, connects again at once instead of waiting until the
//! silence has lasted for too long. For that three keys must be the same as before:
//!
//! - the one from which reset tokens are made;
//! - the one by which the gateway tells its own connection ids from strangers' bytes; quinn answers
//!   nothing to ids that fail;
//! - the one that seals Retry tokens, so that a client in the middle of a handshake need not start over.
//!
//! They are derived (HKDF, RFC 5869) from the private key of the gateway's certificate, which the gateway has to
//! keep anyway: no other file has to be guarded, and a renewed certificate with the same key keeps them. With
//! another key, clients of before the restart notice it by silence. Somebody who learns a token can end one
//! connection, whose address they would have to know, too; the private key cannot be found from it.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::{error::Unspecified, hkdf, hmac};
use quinn::{EndpointConfig, crypto::HandshakeTokenKey};
use quinn_proto::HashedConnectionIdGenerator;

use crate::tls::Identity;

/// The pause between two resets. quinn's default, 20 ms, would let a thousand clients wait for up to 20 s. A
/// reset is smaller than the packet it answers, so it amplifies nothing.
const RESET_PAUSE: Duration = Duration::from_millis(1);

/// The keys of one gateway.
pub(crate) struct EndpointKeys {
    reset: Arc<hmac::Key>,
    token: Arc<dyn HandshakeTokenKey>,
    connection_ids: u64,
}

impl EndpointKeys {
    /// Derives them.
    pub(crate) fn of(identity: &Identity) -> Result<Self, Unspecified> {
        let reset = hmac::Key::new(hmac::HMAC_SHA256, &identity.derive(b"quic reset")?);
        let token = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &identity.derive(b"quic token")?);
        let ids = identity.derive(b"quic connection ids")?;
        let connection_ids = ids.first_chunk().copied().map_or(0, u64::from_be_bytes);
        Ok(Self { reset: Arc::new(reset), token: Arc::new(token), connection_ids })
    }

    pub(super) fn token(&self) -> Arc<dyn HandshakeTokenKey> {
        Arc::clone(&self.token)
    }
}

/// Settings of a gateway's UDP socket.
pub(crate) fn gateway_endpoint(keys: &EndpointKeys) -> EndpointConfig {
    let ids = keys.connection_ids;
    let mut config = EndpointConfig::default();
    config
        .min_reset_interval(RESET_PAUSE)
        .reset_key(Arc::<hmac::Key>::clone(&keys.reset))
        .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    config
}
