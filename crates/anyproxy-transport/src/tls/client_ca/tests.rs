//! Which certificates are accepted.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use rustls_pki_types::UnixTime;

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn ca(name: &str) -> Issuer {
    Issuer::self_signed(authority(name), KeyPair::generate().unwrap()).unwrap()
}

fn under(name: &str, issuer: &Issuer) -> Issuer {
    Issuer::signed_by(authority(name), KeyPair::generate().unwrap(), issuer).unwrap()
}

fn client() -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "laptop");
    params.serial_number = Some(SerialNumber::from(7));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn leaf(params: &CertificateParams, issuer: &Issuer) -> CertificateDer<'static> {
    params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
}

fn offered(params: &CertificateParams, issuer: &Issuer) -> OfferedCertificate {
    OfferedCertificate::new(&[leaf(params, issuer)]).unwrap()
}

fn trusts(issuers: &[&Issuer]) -> ClientCa {
    let pem = issuers.iter().map(|issuer| issuer.pem()).collect::<String>();
    ClientCa::from_pem(pem.as_bytes(), None).unwrap()
}

fn list(issuer: &Issuer, revoked: &[u64]) -> String {
    let revoked = revoked.iter().map(|serial| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2024, 1, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2024, 1, 1),
        next_update: date_time_ymd(2024, 2, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().pem().unwrap()
}

fn day(year: i32) -> UnixTime {
    let seconds = date_time_ymd(year, 6, 1).unix_timestamp();
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds.try_into().unwrap()))
}

#[test]
fn only_a_certificate_of_the_groups_ca_is_accepted() {
    let (ours, other, namesake) = (ca("ours"), ca("other"), ca("ours"));
    let group = trusts(&[&ours]);
    assert_eq!(group.check(&offered(&client(), &ours)), Ok(()));
    assert_eq!(trusts(&[&other, &ours]).check(&offered(&client(), &ours)), Ok(()));
    for stranger in [&other, &namesake] {
        let refused = group.check(&offered(&client(), stranger)).unwrap_err();
        assert!(matches!(refused, NotAccepted::Issuer(_)), "{refused:?}");
        assert!(refused.to_string().contains("client_ca"), "{refused}");
    }
}

#[test]
fn a_group_that_is_not_there_answers_like_one_with_another_ca() {
    let (ours, other) = (ca("ours"), ca("other"));
    let (mut over, mut serves) = (client(), client());
    over.not_after = date_time_ymd(2020, 1, 1);
    serves.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for params in [client(), over, serves] {
        let certificate = offered(&params, &other);
        let told = |ca: &ClientCa| ca.check(&certificate).unwrap_err().to_string();
        assert_eq!(told(&trusts(&[&ours])), told(&ClientCa::nobodys()));
    }
}

#[test]
fn time_and_purpose_count_and_are_told() {
    let ours = ca("ours");
    let group = trusts(&[&ours]);
    let mut params = client();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    let certificate = offered(&params, &ours);
    assert_eq!(group.check(&certificate), Err(NotAccepted::Expired));
    assert_eq!(group.check(&certificate.clone().at(day(2019))), Err(NotAccepted::NotYet));
    assert_eq!(group.check(&certificate.at(day(2020))), Ok(()));
    for (purposes, expected) in [
        (vec![], Ok(())),
        (vec![ExtendedKeyUsagePurpose::ServerAuth], Err(NotAccepted::Purpose)),
        (vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth], Ok(())),
    ] {
        let mut params = client();
        params.extended_key_usages = purposes;
        assert_eq!(group.check(&offered(&params, &ours)), expected);
    }
}

#[test]
fn a_ca_between_has_to_come_along() {
    let root = ca("root");
    let between = under("between", &root);
    let group = trusts(&[&root]);
    let leaf = leaf(&client(), &between);
    let whole = OfferedCertificate::new(&[leaf.clone(), between.der().clone()]).unwrap();
    assert_eq!(group.check(&whole), Ok(()));
    let alone = OfferedCertificate::new(&[leaf]).unwrap();
    assert!(matches!(group.check(&alone), Err(NotAccepted::Issuer(_))));
    assert_eq!(trusts(&[&between]).check(&alone), Ok(()));
}

#[test]
fn what_was_revoked_or_is_on_nobodys_list_is_not_accepted() {
    let (ours, other) = (ca("ours"), ca("other"));
    let with = |lists: &str| {
        let pem = format!("{}{}", ours.pem(), other.pem());
        ClientCa::from_pem(pem.as_bytes(), Some(lists.as_bytes())).unwrap()
    };
    let certificate = offered(&client(), &ours);
    assert_eq!(with(&list(&ours, &[8])).check(&certificate), Ok(()));
    assert_eq!(with(&list(&ours, &[8, 7])).check(&certificate), Err(NotAccepted::Revoked));
    assert_eq!(with(&list(&other, &[8])).check(&certificate), Err(NotAccepted::Unlisted));
    let both = format!("{}{}", list(&other, &[7]), list(&ours, &[]));
    assert_eq!(with(&both).check(&certificate), Ok(()));
    assert_ne!(with(&list(&ours, &[8])), with(&list(&ours, &[7])), "a new list is a change");
}

#[test]
fn a_ca_in_two_groups_is_seen() {
    let (one, two, namesake) = (ca("one"), ca("two"), ca("one"));
    assert_eq!(trusts(&[&one, &two]).overlap(&trusts(&[&two])), Some(Overlap::Same));
    assert_eq!(trusts(&[&one]).overlap(&trusts(&[&two])), None);
    assert_eq!(trusts(&[&one]).overlap(&trusts(&[&namesake])), None);
}

#[test]
fn a_ca_that_issued_another_groups_is_seen() {
    let (root, other) = (ca("root"), ca("other"));
    let (one, two) = (under("one", &root), under("two", &root));
    let first = Some(Overlap::FirstIssuedSecond);
    assert_eq!(trusts(&[&root]).overlap(&trusts(&[&one])), first);
    assert_eq!(trusts(&[&other, &root]).overlap(&trusts(&[&ca("third"), &one])), first);
    assert_eq!(trusts(&[&one]).overlap(&trusts(&[&root])), Some(Overlap::SecondIssuedFirst));
    assert_eq!(trusts(&[&one]).overlap(&trusts(&[&two])), None, "they stand beside each other");
    assert_eq!(trusts(&[&root]).overlap(&trusts(&[&under("x", &other)])), None);
}

/// Also where the gateway's files do not show that one CA is above the other.
#[test]
fn what_comes_by_way_of_another_groups_ca_is_for_that_group() {
    let root = ca("root");
    let between = under("between", &root);
    let office = under("office", &between);
    let (above, below) = (trusts(&[&root]), trusts(&[&office]));
    assert_eq!(above.overlap(&below), None);
    let way = [leaf(&client(), &office), office.der().clone(), between.der().clone()];
    let offices = OfferedCertificate::new(&way).unwrap();
    let way = [leaf(&client(), &between), between.der().clone()];
    let own = OfferedCertificate::new(&way).unwrap();
    assert_eq!(above.check(&offices), Ok(()), "nobody said that there is another group");
    let (above, below) = (above.beside([&below]), below.beside([&above]));
    assert_ne!(above, trusts(&[&root]), "another group is a change");
    assert!(matches!(above.check(&offices), Err(NotAccepted::Issuer(_))));
    assert_eq!(below.check(&offices), Ok(()));
    assert_eq!(above.check(&own), Ok(()));
    // The office's CA was issued anew: with its name for another key, or another name for its key.
    let mut renamed = authority("renamed");
    renamed.serial_number = Some(SerialNumber::from(9));
    let key = KeyPair::from_pem(&office.key().serialize_pem()).unwrap();
    let renamed = Issuer::signed_by(renamed, key, &root).unwrap();
    for again in [under("office", &root), renamed] {
        let way = [leaf(&client(), &again), again.der().clone()];
        let offices = OfferedCertificate::new(&way).unwrap();
        assert!(matches!(above.check(&offices), Err(NotAccepted::Issuer(_))));
    }
}

#[test]
fn a_renewed_certificate_is_of_the_same_and_another_subject_is_not() {
    let ours = ca("ours");
    let first = offered(&client(), &ours);
    assert_eq!(first.subject(), "CN=laptop");
    assert!(first.is_of_the_same(&offered(&client(), &ours)));
    let mut other = client();
    other.distinguished_name.push(DnType::CommonName, "desk");
    assert!(!first.is_of_the_same(&offered(&other, &ours)));
    let mut unnamed = CertificateParams::new(vec!["desk.test".to_owned()]).unwrap();
    unnamed.distinguished_name = rcgen::DistinguishedName::new();
    let named_beside = offered(&unnamed, &ours);
    assert_eq!(named_beside.subject(), "desk.test");
    assert!(named_beside.is_of_the_same(&offered(&unnamed, &ours)));
    let uri = |name: &str| SanType::URI(name.try_into().unwrap());
    unnamed.subject_alt_names = vec![uri("desk.test")];
    let by_uri = offered(&unnamed, &ours);
    assert!(by_uri.is_of_the_same(&offered(&unnamed, &ours)));
    assert!(!by_uri.is_of_the_same(&named_beside), "a name of another kind");
    unnamed.subject_alt_names = vec![uri("a:1"), uri("a:2")];
    let two = offered(&unnamed, &ours);
    unnamed.subject_alt_names = vec![uri("a:1\na:2")];
    assert!(!two.is_of_the_same(&offered(&unnamed, &ours)), "one name that looks like two");
    unnamed.subject_alt_names.clear();
    let nameless = offered(&unnamed, &ours);
    assert!(nameless.is_of_the_same(&nameless.clone()));
    assert!(!nameless.is_of_the_same(&offered(&unnamed, &ours)), "no name is nobody's");
}

#[test]
fn what_is_no_ca_file_is_refused() {
    let ours = ca("ours");
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(ClientCa::from_pem(pem.as_bytes(), None), Err(ClientCaError::Ca(_))));
        let lists = ClientCa::from_pem(ours.pem().as_bytes(), Some(pem.as_bytes()));
        assert!(matches!(lists, Err(ClientCaError::List(_))));
    }
}

proptest! {
    #[test]
    fn a_certificate_in_which_anything_was_changed_is_not_accepted(at: prop::sample::Index, bit in 0..8_u8) {
        let ours = ca("ours");
        let group = trusts(&[&ours]);
        let mut der = leaf(&client(), &ours).as_ref().to_vec();
        let at = at.index(der.len());
        der[at] ^= 1 << bit;
        if let Some(changed) = OfferedCertificate::new(&[der.into()]) {
            prop_assert!(group.check(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn no_bytes_are_a_certificate_and_none_panic(chain: Vec<Vec<u8>>) {
        let chain = chain.into_iter().map(CertificateDer::from).collect::<Vec<_>>();
        prop_assert!(OfferedCertificate::new(&chain).is_none());
    }
}
