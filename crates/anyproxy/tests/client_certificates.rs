//! Client certificates as a person uses them: made with openssl as in the manual, named in files and flags,
//! renewed and taken back while the programs run.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{fs, os::unix::fs::PermissionsExt as _};

use program::{Directory, Running, echo};

const MANUAL: &str = include_str!("../../../docs/joining.md");

/// A directory with the CA and the certificate of the manual, and a gateway's file with a group for them.
fn office() -> Directory {
    let dir = Directory::new();
    let section = MANUAL.split_once("\n## Certificates instead\n").unwrap().1;
    let lines = section.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0;
    let done = dir.shell(&format!("set -e\n{lines}"));
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let group = "[[group]]\nname = \"office\"\nclient_ca = \"office-ca.crt\"\n\
                 password_file = \"office.password\"\n";
    fs::write(dir.path("office.password"), "the office's password").unwrap();
    for private in ["office.password", "laptop.key"] {
        fs::set_permissions(dir.path(private), fs::Permissions::from_mode(0o600)).unwrap();
    }
    change(&dir, |text| text + group);
    dir
}

fn change(dir: &Directory, change: impl FnOnce(String) -> String) {
    let path = dir.path("gateway.toml");
    let text = change(fs::read_to_string(&path).unwrap());
    fs::write(path, text).unwrap();
}

fn client(dir: &Directory, gateway: &Running, transport: &str) -> Running {
    let at = gateway.address("tunnels=").to_string();
    let who = ["client", "-g", &at, "--ca", "certs/ca.crt", "--group", "office"];
    let how = ["--client-certificate", "laptop.crt", "--client-key", "laptop.key"];
    Running::start(dir, &[&who[..], &how, &["--transport", transport]].concat())
}

fn a_certificate_of_the_manual_lets_in_until_its_ca_is_gone(transport: &str) {
    let dir = office();
    let target = echo();
    let mut gateway = Running::gateway(&dir, &[]);
    let mut member = Running::client_trusting(&dir, &gateway, ("a", "certs/ca.crt"), transport);
    gateway.wait_for("session up group=demo");
    let mut client = client(&dir, &gateway, transport);
    gateway.wait_for("certificate=\"CN=laptop\"");
    assert_eq!(gateway.connect("office:the office's password", target), 200);

    let other = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
                 -subj '/CN=other' -keyout other.key -out office-ca.crt";
    assert_eq!(dir.shell(other).code, 0);
    gateway.signal("-HUP");
    gateway.wait_for("session closed group=office");
    client.wait_for("not issued by a CA of this group");
    assert_eq!(gateway.connect("office:the office's password", target), 503);
    let log = member.end();
    assert_eq!(log.matches("connected to the gateway").count(), 1, "{log}");
    client.end();
    gateway.end();
}

#[test]
fn a_certificate_of_the_manual_lets_in_until_its_ca_is_gone_over_quic() {
    a_certificate_of_the_manual_lets_in_until_its_ca_is_gone("quic");
}

#[test]
fn a_certificate_of_the_manual_lets_in_until_its_ca_is_gone_over_websocket() {
    a_certificate_of_the_manual_lets_in_until_its_ca_is_gone("ws");
}

#[test]
fn doctor_tells_whether_the_certificate_is_taken() {
    let dir = office();
    let gateway = Running::gateway(&dir, &[]);
    let at = gateway.address("tunnels=");
    let file = format!(
        "gateway = \"{at}\"\nca = \"certs/ca.crt\"\ngroup = \"office\"\n\
         client_certificate = \"laptop.crt\"\nclient_key = \"laptop.key\"\n"
    );
    fs::write(dir.path("client.toml"), &file).unwrap();
    let done = dir.run(&["doctor", "--config", "client.toml"], "");
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    for part in ["CN=laptop, 1 in the chain, valid for 89 days", "takes this client's certificate"]
    {
        assert!(done.out.contains(part), "{part}: {}", done.out);
    }
    fs::write(dir.path("client.toml"), file.replace("\"office\"", "\"demo\"")).unwrap();
    fs::set_permissions(dir.path("laptop.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let done = dir.run(&["doctor", "--config", "client.toml"], "");
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
    for part in ["was not issued by a CA of this group", "chmod 600"] {
        assert!(done.out.contains(part), "{part}: {}", done.out);
    }
}

#[test]
fn settings_that_will_not_do_are_named_with_the_fix() {
    let dir = office();
    let client = |more: &str| {
        let file = format!("gateway = \"localhost\"\ngroup = \"office\"\n{more}");
        fs::write(dir.path("client.toml"), file).unwrap();
        let done = dir.run(&["check", "client.toml"], "");
        (done.code, done.out + &done.err)
    };
    let both = "client_certificate = \"laptop.crt\"\nclient_key = \"laptop.key\"\n";
    assert_eq!(client(both), (0, "client.toml: ok (client)\n".into()));
    for (more, part) in [
        ("client_key = \"laptop.key\"\n", "only one is given"),
        ("method = \"certificate\"\n", "without a certificate"),
        ("client_certificate = \"laptop.crt\"\nclient_key = \"office-ca.key\"\n", "do not fit"),
        ("client_certificate = \"laptop.csr\"\nclient_key = \"laptop.key\"\n", "no certificate"),
        (&format!("tls12 = true\n{both}"), "`tls12` does not go with"),
        ("", "client_certificate"),
    ] {
        let (code, said) = client(more);
        assert!(code != 0 && said.contains(part), "{part}: {said}");
    }
    // openssl makes such a one without -extfile, when it is told nothing of extensions.
    let old = "openssl req -x509 -x509v1 -key laptop.key -subj /CN=old -out old.crt";
    if dir.shell(old).code == 0 {
        let (_, said) = client("client_certificate = \"old.crt\"\nclient_key = \"laptop.key\"\n");
        assert!(said.contains("of version 3"), "{said}");
    }
    let gateway = |more: &str| {
        let text = fs::read_to_string(dir.path("gateway.toml")).unwrap();
        fs::write(dir.path("other.toml"), text + more).unwrap();
        let done = dir.run(&["check", "other.toml"], "");
        (done.code, done.out + &done.err)
    };
    assert_eq!(gateway("").0, 0);
    let below = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=below \
                 -keyout below.key -out below.csr && printf 'basicConstraints = CA:TRUE\n' > ca.ext && \
                 openssl x509 -req -in below.csr -CA office-ca.crt -CAkey office-ca.key -CAcreateserial \
                 -extfile ca.ext -out below.crt";
    assert_eq!(dir.shell(below).code, 0);
    for (more, part) in [
        ("[[group]]\nname = \"b\"\nclient_ca = \"office-ca.crt\"\n", "have the same CA"),
        (
            "[[group]]\nname = \"b\"\nclient_ca = \"below.crt\"\n",
            "a CA of the group `office` is the issuer of one of `b`",
        ),
        ("[[group]]\nname = \"b\"\nclient_ca = \"laptop.key\"\n", "no CA certificate"),
        ("client_crl = \"office-ca.crt\"\n", "no certificate revocation list"),
        (
            "[[group]]\nname = \"b\"\nclient_crl = \"a\"\nsecret_file = \"a\"\n",
            "without `client_ca`",
        ),
        ("[[group]]\nname = \"b\"\n", "neither `secret_file`, `secret_hash` nor `client_ca`"),
    ] {
        let (code, said) = gateway(more);
        assert!(code != 0 && said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_revocation_list_beyond_its_time_is_used_and_warned_of() {
    let dir = office();
    change(&dir, |text| text + "client_crl = \"office.crl\"\n");
    let read = |name| fs::read_to_string(dir.path(name)).unwrap();
    let key = rcgen::KeyPair::from_pem(&read("office-ca.key")).unwrap();
    let ca = rcgen::Issuer::from_ca_cert_pem(&read("office-ca.crt"), key).unwrap();
    for (until, old) in [(2199, false), (2024, true)] {
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(until, 2, 1),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        fs::write(dir.path("office.crl"), list.signed_by(&ca).unwrap().pem().unwrap()).unwrap();
        let warning = "office.crl holds a revocation list that was to be replaced by 2024-02-01";
        let done = dir.run(&["check", "gateway.toml"], "");
        let said = done.out + &done.err;
        assert_eq!((done.code, said.contains(warning)), (0, old), "{said}");
        let done = dir.run(&["doctor", "gateway", "--config", "gateway.toml"], "");
        assert_eq!(done.out.contains(warning), old, "{}", done.out);
    }
    let mut gateway = Running::gateway(&dir, &[]);
    let mut client = client(&dir, &gateway, "quic");
    gateway.wait_for("certificate=\"CN=laptop\"");
    client.end();
    let log = gateway.end();
    assert!(log.contains("office.crl holds a revocation list"), "{log}");
}

/// Without a secret of its own the group's name is no user, and no password is made up.
#[test]
fn a_group_with_a_ca_alone_has_no_user_by_itself() {
    let dir = office();
    change(&dir, |text| text.replace("password_file = \"office.password\"\n", ""));
    let gateway = Running::gateway(&dir, &[]);
    assert_eq!(gateway.connect("office:", echo()), 407);
    assert_eq!(gateway.connect("office:the office's password", echo()), 407);
}
