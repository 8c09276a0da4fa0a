//! Authorities, and the certificates that they issue.

use anyproxy_transport::{ClientCa, Identity, OwnCertificate};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
    date_time_ymd,
};

/// The serial number of every certificate here.
const SERIAL: u64 = 7;

/// Somebody who issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// What a group has that trusts it.
    pub(crate) fn trusted(&self) -> Option<ClientCa> {
        Some(ClientCa::from_pem(self.0.pem().as_bytes(), None).unwrap())
    }

    /// The same, with a list on which everything is that it issued.
    pub(crate) fn revoking(&self) -> Option<ClientCa> {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(SERIAL),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2024, 2, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.0).unwrap().pem().unwrap();
        Some(ClientCa::from_pem(self.0.pem().as_bytes(), Some(list.as_bytes())).unwrap())
    }

    /// A certificate for a client, changed by `change`.
    pub(crate) fn issue(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> OwnCertificate {
        OwnCertificate::new(&self.identity(name, change)).unwrap()
    }

    /// A certificate for a client.
    pub(crate) fn client(&self, name: &str) -> OwnCertificate {
        self.issue(name, |_| {})
    }

    /// The same as PEM, with its key.
    pub(crate) fn pem(&self, name: &str) -> (String, String) {
        self.files(name, |_| {})
    }

    /// Its own certificate, as PEM.
    pub(crate) fn ca(&self) -> String {
        self.0.pem()
    }

    fn files(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(SERIAL));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        (leaf.pem(), key.serialize_pem())
    }

    /// The same with its key, to replace another by.
    pub(crate) fn identity(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let (chain, key) = self.files(name, change);
        Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    }
}
