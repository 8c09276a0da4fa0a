//! Tests of `anyproxy certs`: what it makes is accepted, and a second run destroys nothing.

use std::{fs, sync::Arc};

use anyproxy_transport::tls::{Identity, Pin, Trust};
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use tempfile::TempDir;

use super::*;

fn args(dir: &TempDir, names: &[&str]) -> CertsArgs {
    CertsArgs {
        dir: dir.path().to_owned(),
        name: names.iter().map(|&name| name.to_owned()).collect(),
        group: vec!["demo".into()],
    }
}

fn make(dir: &TempDir, names: &[&str]) -> String {
    let mut out = Vec::new();
    run(&args(dir, names), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn read(dir: &TempDir, name: &str) -> Vec<u8> {
    fs::read(dir.path().join(name)).unwrap()
}

fn chain(dir: &TempDir) -> Vec<CertificateDer<'static>> {
    let pem = read(dir, "gateway.crt");
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap()
}

/// Checks the gateway's chain against the CA file, as a client would at `now`.
fn verify(dir: &TempDir, name: &str, now: UnixTime) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&read(dir, "ca.crt")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let chain = chain(dir);
    let name = ServerName::try_from(name).unwrap();
    verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now).map(|_| ())
}

#[test]
fn clients_accept_what_was_made() {
    let dir = TempDir::new().unwrap();
    let said = make(&dir, &["gw.example.com", "192.0.2.1", "2001:db8::1"]);
    for name in ["gw.example.com", "192.0.2.1", "2001:db8::1"] {
        verify(&dir, name, UnixTime::now()).unwrap();
    }
    assert!(verify(&dir, "other.example.com", UnixTime::now()).is_err());
    Identity::from_pem(&read(&dir, "gateway.crt"), &read(&dir, "gateway.key")).unwrap();
    Trust::from_ca_pem(&read(&dir, "ca.crt")).unwrap();
    let ca = chain(&dir).pop().unwrap();
    let pin = Pin::of(&ca).unwrap().to_string();
    assert!(said.contains(&format!("pin {pin}\n")), "{said}");
}

#[test]
fn names_of_this_machine_by_default() {
    let dir = TempDir::new().unwrap();
    let said = make(&dir, &[]);
    assert!(said.contains("for localhost, 127.0.0.1, ::1"), "{said}");
    for name in LOCAL {
        verify(&dir, name, UnixTime::now()).unwrap();
    }
}

#[test]
fn validity_is_bounded() {
    let dir = TempDir::new().unwrap();
    make(&dir, &["a.example"]);
    let after = |days: u64| {
        let seconds = UnixTime::now().as_secs() + days * 86_400;
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    };
    verify(&dir, "a.example", after(396)).unwrap();
    assert!(verify(&dir, "a.example", after(397)).is_err());
    let ca = expiry(&read(&dir, "ca.crt")).unwrap().timestamp();
    let days = (ca - i64::try_from(UnixTime::now().as_secs()).unwrap()) / 86_400;
    assert!((3_649..=3_650).contains(&days), "{days}");
}

#[test]
fn a_leaf_does_not_outlive_its_ca() {
    let made = SystemTime::now() - std::time::Duration::from_secs(3_600 * 86_400);
    let authority = Authority::generate(made).unwrap();
    let key = authority::new_key().unwrap();
    let chain = authority.issue(&["a.example".into()], &key, SystemTime::now()).unwrap();
    let ca = expiry(authority.certificate_pem().as_bytes()).unwrap();
    assert_eq!(expiry(chain.as_bytes()).unwrap(), ca);
}

#[test]
fn a_second_run_renews_the_leaf_and_keeps_the_rest() {
    let dir = TempDir::new().unwrap();
    make(&dir, &["gw.example.com"]);
    let kept = ["ca.crt", "ca.key", "gateway.key", "demo.secret"];
    let before = kept.map(|name| read(&dir, name));
    let leaf = chain(&dir).remove(0);
    let said = make(&dir, &[]);
    assert!(said.contains("renewed, valid until"), "{said}");
    assert_eq!(said.matches(" kept").count(), 4, "{said}");
    assert_eq!(kept.map(|name| read(&dir, name)), before);
    assert_ne!(chain(&dir).remove(0), leaf, "the leaf is a new one");
    verify(&dir, "gw.example.com", UnixTime::now()).unwrap();
}

#[test]
fn a_renewed_leaf_has_another_serial_number() {
    let authority = Authority::generate(SystemTime::now()).unwrap();
    let key = authority::new_key().unwrap();
    let mut serials = Vec::new();
    for _ in 0..2 {
        let chain = authority.issue(&["a".into()], &key, SystemTime::now()).unwrap();
        let der = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
        serials.push(parsed.raw_serial().to_vec());
    }
    assert_ne!(serials[0], serials[1]);
    assert!(serials.iter().all(|serial| serial.len() == 16), "{serials:?}");
}

#[cfg(unix)]
#[test]
fn private_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    make(&dir, &[]);
    for name in ["ca.key", "gateway.key", "demo.secret"] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn nothing_private_is_printed() {
    let dir = TempDir::new().unwrap();
    let said = make(&dir, &[]);
    let secret = String::from_utf8(read(&dir, "demo.secret")).unwrap();
    assert_eq!(secret.trim_end().len(), 43);
    assert!(!said.contains(secret.trim_end()) && !said.contains("PRIVATE KEY"), "{said}");
}

#[test]
fn half_a_pair_or_a_damaged_file_stops_the_run_and_is_kept() {
    for (name, content) in [
        ("ca.key", None),
        ("ca.crt", None),
        ("ca.key", Some("damaged")),
        ("ca.crt", Some("damaged")),
        ("gateway.key", Some("damaged")),
    ] {
        let dir = TempDir::new().unwrap();
        make(&dir, &[]);
        let path = dir.path().join(name);
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let error = run(&args(&dir, &[]), &mut Vec::new()).unwrap_err();
        assert!(error.fix().is_some(), "{error}");
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), content, "{error}");
    }
}

/// Killed between any two files.
#[test]
fn a_run_that_was_killed_is_finished_by_the_next_one() {
    let whole = TempDir::new().unwrap();
    make(&whole, &[]);
    for (left, ca_stays) in [
        (&[("ca.key.new", "half")][..], false),
        (&[("ca.key.new", "ca.key")], false),
        (&[("ca.key.new", "ca.key"), ("ca.crt", "ca.crt")], true),
        (&[("ca.key", "ca.key"), ("ca.crt", "ca.crt"), ("gateway.key.new", "half")], true),
    ] {
        let dir = TempDir::new().unwrap();
        for (name, of) in left {
            let bytes = if *of == "half" { b"half".to_vec() } else { read(&whole, of) };
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        make(&dir, &[]);
        assert_eq!(read(&dir, "ca.crt") == read(&whole, "ca.crt"), ca_stays, "{left:?}");
        assert_eq!(read(&dir, "ca.key") == read(&whole, "ca.key"), ca_stays, "{left:?}");
        verify(&dir, "localhost", UnixTime::now()).unwrap();
        assert!(
            !dir.path().join("ca.key.new").exists() && !dir.path().join("gateway.key.new").exists()
        );
    }
}

#[test]
fn a_key_of_another_ca_is_refused() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    make(&one, &[]);
    make(&other, &[]);
    fs::copy(other.path().join("ca.key"), one.path().join("ca.key")).unwrap();
    let error = run(&args(&one, &[]), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, CertsError::Unusable { .. }), "{error}");
}

#[test]
fn a_name_that_is_none_is_refused() {
    let dir = TempDir::new().unwrap();
    for name in ["", "http://gw", "a b", "gw:8443"] {
        let error = run(&args(&dir, &[name]), &mut Vec::new()).unwrap_err();
        assert!(matches!(error, CertsError::Name(_)), "{name}: {error}");
    }
}
