//! What clients may know a gateway's certificate by.

use std::{convert::Infallible, fmt, str::FromStr};

use anyproxy_transport::{Pin, Trust};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use super::inspect::{names_of, own_authority};
use crate::values::server_name;

/// What clients may know a gateway's certificate by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voucher {
    /// The CA of its own with which the chain ends.
    Own(Pin),
    /// A CA that this machine trusts, and so others do.
    Public,
    /// Nobody that a machine trusts by itself: a private CA, or only the certificate itself.
    Nobody,
}

impl Voucher {
    /// Who vouches for `chain`, leaf first.
    pub(crate) fn of(chain: &[CertificateDer<'_>]) -> Self {
        if let Some(pin) = own_authority(chain) {
            return Self::Own(pin);
        }
        let names = chain.first().and_then(|leaf| names_of(leaf)).unwrap_or_default();
        // Only the chain matters, so any of its names will do.
        let name = names.first().map(|name| name.replacen('*', "any", 1));
        match name.and_then(|name| server_name(&name).ok()) {
            Some(name) if Trust::System.accepts(chain, &name) => Self::Public,
            Some(_) | None => Self::Nobody,
        }
    }

    /// The same, of a PEM text.
    pub(crate) fn of_pem(pem: &[u8]) -> Self {
        let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        Self::of(&chain.unwrap_or_default())
    }

    /// What a token carries.
    pub(crate) fn pin(self) -> Option<Pin> {
        match self {
            Self::Own(pin) => Some(pin),
            Self::Public | Self::Nobody => None,
        }
    }
}

impl fmt::Display for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(pin) => pin.fmt(f),
            Self::Public => f.write_str("public"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

impl FromStr for Voucher {
    type Err = Infallible;

    /// What no version has written is a warning more, and no harm.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "public" => Self::Public,
            text => text.parse().map_or(Self::Nobody, Self::Own),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::certs::{Authority, new_key};

    #[test]
    fn who_vouches_for_a_chain_is_known_and_kept_as_text() {
        let authority = Authority::generate(SystemTime::now()).unwrap();
        let key = new_key().unwrap();
        let chain = authority.issue(&["gw.example.com".into()], &key, SystemTime::now()).unwrap();
        let own = Voucher::of_pem(chain.as_bytes());
        assert_eq!(own, Voucher::Own(authority.pin().unwrap()));
        let leaf = chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
        assert_eq!(Voucher::of_pem(leaf.as_bytes()), Voucher::Nobody);
        assert_eq!(Voucher::of_pem(b""), Voucher::Nobody);
        for voucher in [own, Voucher::Public, Voucher::Nobody] {
            assert_eq!(voucher.to_string().parse(), Ok(voucher));
        }
    }
}
