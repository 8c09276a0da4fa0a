//! From text to connection, with every way around a policy that was ever found in the field.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_transport::net::System;
use anyproxy_wire::codes::OpenCode;

use super::{
    policy::policy,
    scripted::{Fate, Scripted, addr},
};
use crate::egress::{Destination, DialError, Dialled, Egress, Policy};

fn egress(net: Scripted, policy: Policy) -> (Arc<Scripted>, Egress) {
    let net = Arc::new(net);
    (net.clone(), Egress::new(net, Arc::new(policy)))
}

async fn ask(egress: &Egress, target: &str) -> Result<Dialled, DialError> {
    let deadline = Deadline::after(Duration::from_secs(30));
    egress.dial(&Destination::Asked(target.to_owned()), deadline).await
}

async fn code(egress: &Egress, target: &str) -> OpenCode {
    match ask(egress, target).await {
        Ok(_) => OpenCode::Connected,
        Err(error) => error.code(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_merely_contains_an_allowed_one_is_denied() {
    let (net, egress) = egress(Scripted::new(), policy(&["10.0.0.1"], &[]));
    assert_eq!(code(&egress, "10.0.0.1:80").await, OpenCode::Connected);
    for target in ["110.0.0.12:80", "10.0.0.12:80", "110.0.0.1:80"] {
        assert_eq!(code(&egress, target).await, OpenCode::Denied, "{target}");
    }
    assert_eq!(code(&egress, "10.0.0.1.evil.example:80").await, OpenCode::NameNotFound);
    assert_eq!(net.dialled(), [addr("10.0.0.1:80")]);
}

#[tokio::test(start_paused = true)]
async fn rebinding_a_name_gains_nothing_because_it_is_looked_up_once() {
    let net = Scripted::new().name("rebind.evil", &["192.0.2.7"]);
    let (net, egress) = egress(net, policy(&[], &["10.0.0.0/8"]));
    let dialled = ask(&egress, "rebind.evil:80").await.unwrap();
    assert_eq!(dialled.address, addr("192.0.2.7:80"));
    assert_eq!(net.look_ups(), ["rebind.evil"]);
    assert_eq!(net.dialled(), [addr("192.0.2.7:80")]);
}

#[tokio::test(start_paused = true)]
async fn every_address_is_checked_not_only_the_first() {
    let list = ["192.0.2.1", "10.0.0.1", "::ffff:10.0.0.2", "2001:db8::1", "192.0.2.2"];
    let net = Scripted::new()
        .name("mixed.evil", &list)
        .host("192.0.2.1:80", Fate::Fails(0, ErrorKind::ConnectionRefused))
        .host("[2001:db8::1]:80", Fate::Fails(0, ErrorKind::ConnectionRefused))
        .host("192.0.2.2:80", Fate::Fails(0, ErrorKind::ConnectionRefused));
    let (net, egress) = egress(net, policy(&[], &["10.0.0.0/8"]));
    assert_eq!(code(&egress, "mixed.evil:80").await, OpenCode::Refused);
    let expected = ["192.0.2.1:80", "[2001:db8::1]:80", "192.0.2.2:80"].map(addr);
    assert_eq!(net.dialled(), expected);
}

#[tokio::test(start_paused = true)]
async fn all_addresses_denied_is_denied_and_names_the_entry() {
    let net = Scripted::new().name("db.corp", &["10.0.0.1", "10.0.0.2"]);
    let (net, egress) = egress(net, policy(&["db.corp"], &["10.0.0.0/8"]));
    let error = ask(&egress, "db.corp:80").await.unwrap_err();
    assert_eq!(error.code(), OpenCode::Denied);
    assert_eq!(error.to_string(), "denied by policy: 10.0.0.1: the deny list has 10.0.0.0/8");
    assert_eq!(net.dialled(), []);
}

#[tokio::test(start_paused = true)]
async fn a_failed_look_up_passes_no_list() {
    let net = Scripted::new()
        .look_up("gone.evil", Fate::Fails(0, ErrorKind::NotFound))
        .look_up("broken.evil", Fate::Fails(0, ErrorKind::Other))
        .look_up("slow.evil", Fate::Hangs)
        .look_up("empty.evil", Fate::Done(0, Vec::new()));
    let (net, egress) = egress(net, policy(&[], &["10.0.0.0/8"]));
    assert_eq!(code(&egress, "gone.evil:80").await, OpenCode::NameNotFound);
    assert_eq!(code(&egress, "empty.evil:80").await, OpenCode::NameNotFound);
    assert_eq!(code(&egress, "broken.evil:80").await, OpenCode::LookupFailed);
    assert_eq!(net.now(), 0);
    assert_eq!(code(&egress, "slow.evil:80").await, OpenCode::TimedOut);
    assert_eq!((net.now(), net.live()), (30_000, 0));
    assert_eq!(net.dialled(), []);
}

#[tokio::test(start_paused = true)]
async fn every_spelling_of_loopback_meets_the_same_denies() {
    let net = Scripted::new()
        .name("localhost", &["127.0.0.1", "::1"])
        .name("localhost.", &["127.0.0.1"])
        .name("2130706433", &["127.0.0.1"])
        .name("0177.0.0.1", &["127.0.0.1"])
        .name("0x7f.1", &["127.0.0.1"])
        .name("127.1", &["127.0.0.1"])
        .name("innocent.evil", &["::ffff:127.0.0.1", "::1"]);
    let spellings = [
        "localhost:80",
        "LOCALHOST.:80",
        "127.0.0.1:80",
        "[::1]:80",
        "[0:0:0:0:0:0:0:1]:80",
        "[::ffff:127.0.0.1]:80",
        "[::ffff:7f00:1]:80",
        "[::127.0.0.1]:80",
        "[64:ff9b::7f00:1]:80",
        "2130706433:80",
        "0177.0.0.1:80",
        "0X7F.1:80",
        "127.1:80",
        "innocent.evil:80",
    ];
    let net = Arc::new(net);
    for deny in [&["localhost"][..], &["127.0.0.0/8", "::1"]] {
        let egress = Egress::new(net.clone(), Arc::new(policy(&[], deny)));
        for target in spellings {
            assert_eq!(code(&egress, target).await, OpenCode::Denied, "{deny:?} {target}");
        }
    }
    assert_eq!(net.dialled(), []);
    let open = Egress::new(net, Arc::default());
    assert_eq!(code(&open, "localhost:80").await, OpenCode::Connected);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_denied_in_every_spelling() {
    let net = Scripted::new()
        .name("2852039166", &["169.254.169.254"])
        .name("metadata.evil", &["169.254.169.254"]);
    let (net, egress) = egress(net, policy(&["*", "*.evil"], &[]));
    for target in [
        "169.254.169.254:80",
        "[::ffff:169.254.169.254]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[fd00:ec2::254]:80",
        "2852039166:80",
        "metadata.evil:80",
    ] {
        assert_eq!(code(&egress, target).await, OpenCode::Denied, "{target}");
    }
    assert_eq!(net.dialled(), []);
}

#[tokio::test(start_paused = true)]
async fn ipv4_inside_ipv6_is_dialled_as_the_ipv4_that_was_checked_and_once() {
    let net = Scripted::new()
        .name("mapped.corp", &["::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1"])
        .host("10.0.0.1:80", Fate::Fails(0, ErrorKind::ConnectionRefused));
    let (net, egress) = egress(net, policy(&["10.0.0.1"], &[]));
    assert_eq!(code(&egress, "mapped.corp:80").await, OpenCode::Refused);
    assert_eq!(net.dialled(), [addr("10.0.0.1:80")]);
}

#[tokio::test(start_paused = true)]
async fn a_name_denied_by_name_is_not_looked_up() {
    let net = Scripted::new().name("db.corp", &["10.0.0.1"]);
    let (net, egress) = egress(net, policy(&[], &["*.corp"]));
    let error = ask(&egress, "DB.corp.:80").await.unwrap_err();
    assert_eq!(error.code(), OpenCode::Denied);
    assert_eq!(error.to_string(), "denied by policy: db.corp: the deny list has *.corp");
    assert_eq!(net.look_ups(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_port_asked_for_is_the_port_dialled_whatever_the_resolver_says() {
    let (_, egress) = egress(Scripted::new().name("db.corp", &["10.0.0.1"]), Policy::default());
    assert_eq!(ask(&egress, "db.corp:5432").await.unwrap().address, addr("10.0.0.1:5432"));
}

#[tokio::test(start_paused = true)]
async fn an_absolute_name_is_looked_up_as_such() {
    let (net, egress) = egress(Scripted::new().name("db.corp.", &["10.0.0.1"]), Policy::default());
    assert!(ask(&egress, "DB.corp.:80").await.is_ok());
    assert_eq!(net.look_ups(), ["db.corp."]);
}

#[tokio::test(start_paused = true)]
async fn the_scope_of_a_resolved_link_local_address_is_kept() {
    let scoped = addr("[fe80::1%7]:9");
    let net = Scripted::new().look_up("printer.local", Fate::Done(0, vec![scoped]));
    let (_, egress) = egress(net, policy(&["[fe80::]/10"], &[]));
    assert_eq!(ask(&egress, "printer.local:80").await.unwrap().address, addr("[fe80::1%7]:80"));
}

#[tokio::test(start_paused = true)]
async fn a_bad_target_is_told_apart() {
    let (net, egress) = egress(Scripted::new(), Policy::default());
    let error = ask(&egress, "[fe80::1%eth0]:80").await.unwrap_err();
    assert_eq!(error.code(), OpenCode::BadTarget);
    assert_eq!(error.to_string(), "bad target: zone ids are not accepted");
    assert_eq!(net.look_ups(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_configured_target_needs_no_allow_entry() {
    let (_, egress) = egress(Scripted::new(), policy(&["*.corp"], &["10.0.0.2"]));
    let deadline = Deadline::after(Duration::from_secs(30));
    let dial = |text: &str| {
        let destination = Destination::Configured(text.to_owned());
        let egress = egress.clone();
        async move { egress.dial(&destination, deadline).await }
    };
    assert!(dial("10.0.0.1:80").await.is_ok());
    assert_eq!(dial("10.0.0.2:80").await.unwrap_err().code(), OpenCode::Denied);
    assert_eq!(dial("169.254.169.254:80").await.unwrap_err().code(), OpenCode::Denied);
    assert_eq!(code(&egress, "10.0.0.1:80").await, OpenCode::Denied);
}

#[tokio::test(start_paused = true)]
async fn one_deadline_bounds_look_up_and_connecting_together() {
    let net = Scripted::new()
        .look_up("slow.corp", Fate::Done(29_000, vec![addr("10.0.0.1:9")]))
        .host("10.0.0.1:80", Fate::Hangs);
    let (net, egress) = egress(net, Policy::default());
    assert_eq!(code(&egress, "slow.corp:80").await, OpenCode::TimedOut);
    assert_eq!((net.now(), net.live()), (30_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_datagram_flow_gets_checked_addresses_and_nothing_is_connected() {
    let net = Scripted::new().name("dns.corp", &["2001:db8::1", "10.0.0.1", "192.0.2.1"]);
    let (net, egress) = egress(net, policy(&[], &["10.0.0.0/8"]));
    let destination = Destination::Asked("dns.corp:53".to_owned());
    let found = egress.addresses(&destination, Deadline::after(Duration::from_secs(1))).await;
    assert_eq!(found.unwrap(), ["[2001:db8::1]:53", "192.0.2.1:53"].map(addr));
    assert_eq!(net.dialled(), []);
}

#[tokio::test]
async fn the_systems_refusal_is_a_refusal() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let egress = Egress::new(Arc::new(System::default()), Arc::default());
    assert_eq!(ask(&egress, &address.to_string()).await.unwrap().address, address);
    drop(listener);
    let error = ask(&egress, &address.to_string()).await.unwrap_err();
    assert_eq!(error.code(), OpenCode::Refused, "{error}");
    assert!(error.to_string().starts_with(&address.to_string()), "{error}");
}

#[test]
fn errors_of_connect_have_their_codes() {
    use ErrorKind as K;
    for (kind, code) in [
        (K::ConnectionRefused, OpenCode::Refused),
        (K::ConnectionReset, OpenCode::Reset),
        (K::ConnectionAborted, OpenCode::Reset),
        (K::HostUnreachable, OpenCode::HostUnreachable),
        (K::NetworkUnreachable, OpenCode::NetworkUnreachable),
        (K::NetworkDown, OpenCode::NetworkUnreachable),
        (K::TimedOut, OpenCode::TimedOut),
        (K::PermissionDenied, OpenCode::Internal),
    ] {
        let error = DialError::Connect { address: addr(B), error: kind.into(), tried: 1 };
        assert_eq!(error.code(), code, "{kind}");
    }
}

const B: &str = "10.0.0.1:80";

#[cfg(target_os = "linux")]
#[test]
fn running_out_of_descriptors_is_overload_and_says_what_to_do() {
    const EMFILE: i32 = 24;
    let error = || std::io::Error::from_raw_os_error(EMFILE);
    let host = "name.test".to_owned();
    for (error, begins) in [
        (DialError::Connect { address: addr(B), error: error(), tried: 1 }, "10.0.0.1:80: "),
        (DialError::LookupFailed { host, error: error() }, "the look-up of name.test failed: "),
    ] {
        assert_eq!(error.code(), OpenCode::Overloaded);
        let text = error.to_string();
        assert!(text.starts_with(begins) && text.contains("Too many open files"), "{text}");
        assert!(text.contains("LimitNOFILE= of the service, or ulimit -n"), "{text}");
    }
}

#[test]
fn dialling_can_move_between_threads() {
    fn movable<T: Send>(_: &T) {}
    let egress = Egress::new(Arc::new(System::default()), Arc::default());
    let destination = Destination::Asked("localhost:1".to_owned());
    movable(&egress.dial(&destination, Deadline::never()));
}
