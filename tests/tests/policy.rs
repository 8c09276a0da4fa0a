//! Conformance case 30: every known way around a policy ends at it, whichever way the user comes in.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failure here is the test's, and tasks end with its runtime"
)]

use std::{io::ErrorKind, sync::atomic::Ordering, time::Duration};

use anyproxy_tests::user::Refusal;
use anyproxy_transport::Transport;

#[path = "policy/town.rs"]
mod town;

use town::{INNER, INNER_V6, Town};

/// Spellings of the private server, then of the client's own host.
const SPELLINGS: [&[&str]; 2] = [
    &[
        "10.0.0.7",
        "::ffff:10.0.0.7",
        "::ffff:a00:7",
        "::10.0.0.7",
        "167772167",
        "012.0.0.7",
        "0x0a000007",
        "10.7",
        "inner.test",
        "INNER.Test.",
        "mapped.test",
        "fd00:7::7",
        "FD00:0007:0:0::7",
        "six.test",
    ],
    &[
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "::1",
        "0:0:0:0:0:0:0:1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "127.1",
        "me.test",
    ],
];

fn spellings(town: &Town) {
    for name in ["167772167", "012.0.0.7", "0x0a000007", "10.7", "inner.test"] {
        town.name(name, &[INNER]);
    }
    town.name("mapped.test", &["::ffff:10.0.0.7"]);
    town.name("six.test", &[INNER_V6]);
    for name in ["2130706433", "0177.0.0.1", "0x7f.1", "127.1"] {
        town.name(name, &["127.0.0.1"]);
    }
    town.name("me.test", &["::1", "127.0.0.1"]);
}

/// What a translator on the way would take for the private server; built-in denies; other names.
const DENIED_ANYWAY: &[&str] = &[
    "64:ff9b::a00:7",
    "2002:a00:7::1",
    "::ffff:0:a00:7",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "127.8.9.10",
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "metadata.test",
    "0.0.0.0",
    "::",
    "fe80::1",
    "db.corp",
    "DB.Corp.",
    "a.secret.test",
    "a.b.Secret.TEST.",
];

async fn no_spelling_of_a_denied_target_gets_through(transport: Transport) {
    let town = Town::new(transport);
    spellings(&town);
    town.name("metadata.test", &["169.254.169.254"]);
    for name in ["db.corp", "a.secret.test", "a.b.secret.test", "secret.test", "mydb.corp"] {
        town.name(name, &["198.18.0.4"]);
    }
    let deny = ["10.0.0.0/8", "[fd00:7::]/32", "localhost", "db.corp", "*.secret.test"];
    let client = town.client(&[], &deny).await;
    for host in SPELLINGS.iter().flat_map(|list| list.iter()).chain(DENIED_ANYWAY) {
        town.denies(host, town.inner).await;
    }
    // What merely looks alike is not denied.
    for host in ["secret.test", "mydb.corp", "198.18.0.4"] {
        town.connects(host, town.open.port()).await;
    }
    client.shutdown(Duration::ZERO).await;
    // Without the lists these very spellings lead there.
    let _open = town.client(&[], &[]).await;
    for host in SPELLINGS.iter().flat_map(|list| list.iter()) {
        let before = town.reached.load(Ordering::Relaxed);
        town.connects(host, town.inner).await;
        let all_three = town.reached.load(Ordering::Relaxed) - before;
        assert!(all_three >= 3, "{host}: {all_three}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_spelling_of_a_denied_target_gets_through_over_quic() {
    no_spelling_of_a_denied_target_gets_through(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn no_spelling_of_a_denied_target_gets_through_over_websocket() {
    no_spelling_of_a_denied_target_gets_through(Transport::WebSocket).await;
}

/// An allow list is a list of whole names and networks, not of parts of text.
async fn what_resembles_an_allowed_target_is_denied(transport: Transport) {
    let town = Town::new(transport);
    for name in [
        "corp",
        "evilcorp",
        "db.corp",
        "db.corp.evil.test",
        "api.test",
        "xapi.test",
        "api.test.evil.test",
        "198.18.0.4.evil.test",
        "apiXtest",
    ] {
        town.name(name, &["198.18.0.4"]);
    }
    let (open, other) = (town.open.port(), town.open.port() - 1);
    let api = format!("api.test:{open}");
    let _client = town.client(&["198.18.0.40", "10.0.0.1", "*.corp", &api], &[]).await;
    for host in ["db.corp", "DB.CORP.", "api.test"] {
        town.connects(host, open).await;
    }
    for (host, port) in [
        ("198.18.0.4", open),
        ("110.0.0.12", open),
        ("10.0.0.12", open),
        ("110.0.0.1", open),
        ("::ffff:198.18.0.4", open),
        ("64:ff9b::a00:1", open),
        ("corp", open),
        ("evilcorp", open),
        ("db.corp.evil.test", open),
        ("xapi.test", open),
        ("api.test.evil.test", open),
        ("198.18.0.4.evil.test", open),
        ("apiXtest", open),
        ("api.test", other),
    ] {
        town.denies(host, port).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_resembles_an_allowed_target_is_denied_over_quic() {
    what_resembles_an_allowed_target_is_denied(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn what_resembles_an_allowed_target_is_denied_over_websocket() {
    what_resembles_an_allowed_target_is_denied(Transport::WebSocket).await;
}

/// A name that changes its mind, has many addresses, or none.
async fn names_lead_nowhere_that_was_not_checked(transport: Transport) {
    let town = Town::new(transport);
    let port = town.open.port();
    let _client = town.client(&[], &["10.0.0.0/8", "[fd00:7::]/32"]).await;
    let asked = |name: &str| town.host.lookups().iter().filter(|asked| *asked == name).count();

    town.name("rebind.test", &["198.18.0.4"]);
    town.connects("rebind.test", port).await;
    assert_eq!(asked("rebind.test"), 3, "once for each connection: what was checked is dialled");
    town.name("rebind.test", &[INNER]);
    town.denies("rebind.test", town.inner).await;
    assert_eq!(asked("rebind.test"), 6);

    // Nobody listens there at the good address; the others would.
    for (name, addrs) in [
        ("last.test", &["198.18.0.4", INNER, INNER_V6][..]),
        ("first.test", &[INNER, INNER_V6, "::ffff:10.0.0.7", "198.18.0.4"]),
    ] {
        town.name(name, addrs);
        let refused = Err(Refusal::Http(502, "connection_refused".into()));
        let expected = [refused.clone(), refused, Err(Refusal::Socks5(0x05))];
        assert_eq!(town.ask(name, town.inner).await, expected, "{name}");
    }
    town.world.name_fails("broken.test", ErrorKind::TimedOut);
    for (name, http) in
        [("nowhere.test", (502, "dns_error")), ("broken.test", (504, "dns_timeout"))]
    {
        let http = Err(Refusal::Http(http.0, http.1.into()));
        let expected = [http.clone(), http, Err(Refusal::Socks5(0x04))];
        assert_eq!(town.ask(name, town.inner).await, expected, "{name}");
    }
    assert_eq!(town.reached.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn names_lead_nowhere_that_was_not_checked_over_quic() {
    names_lead_nowhere_that_was_not_checked(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn names_lead_nowhere_that_was_not_checked_over_websocket() {
    names_lead_nowhere_that_was_not_checked(Transport::WebSocket).await;
}

/// Every form of an entry, as the only one of an allow list and of a deny list.
async fn every_form_of_an_entry_works_in_both_lists(transport: Transport) {
    let town = Town::new(transport);
    let port = town.open.port();
    town.name("web.test", &["198.18.0.4"]);
    town.name("a.sub.test", &["198.18.0.4"]);
    let range = format!("198.18.0.0/24:{}-{}", port - 1, port + 1);
    let forms = [
        ("web.test".to_owned(), "web.test", "a.sub.test"),
        ("*.sub.test".to_owned(), "a.sub.test", "web.test"),
        (format!("web.test:{port}"), "web.test", "a.sub.test"),
        ("web.test:*".to_owned(), "web.test", "a.sub.test"),
        ("198.18.0.4".to_owned(), "198.18.0.4", "10.0.0.7"),
        ("198.18.0.0/24".to_owned(), "web.test", "10.0.0.7"),
        (format!("198.18.0.0/24:{port}"), "198.18.0.4", "10.0.0.7"),
        (range, "::ffff:198.18.0.4", "10.0.0.7"),
        (format!("*:{port}"), "198.18.0.4", ""),
        ("[fd00:7::]/32".to_owned(), "fd00:7::7", "198.18.0.4"),
        ("[fd00:7::7]:8080".to_owned(), "fd00:7::7", "198.18.0.4"),
    ];
    for (entry, hit, miss) in &forms {
        let port_of = |host: &str| match host {
            INNER | INNER_V6 => town.inner,
            _ => port,
        };
        let verdict = async |host: &str| {
            let [connect, ..] = town.ask(host, port_of(host)).await;
            connect.is_ok()
        };
        let client = town.client(&[entry], &[]).await;
        assert!(verdict(hit).await, "allow {entry}: {hit}");
        assert!(miss.is_empty() || !verdict(miss).await, "allow {entry}: {miss}");
        client.shutdown(Duration::ZERO).await;
        let client = town.client(&[], &[entry]).await;
        assert!(!verdict(hit).await, "deny {entry}: {hit}");
        assert!(miss.is_empty() || verdict(miss).await, "deny {entry}: {miss}");
        client.shutdown(Duration::ZERO).await;
        let client = town.client(&[entry], &[entry]).await;
        assert!(!verdict(hit).await, "deny wins: {entry}: {hit}");
        client.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_form_of_an_entry_works_in_both_lists_over_quic() {
    every_form_of_an_entry_works_in_both_lists(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn every_form_of_an_entry_works_in_both_lists_over_websocket() {
    every_form_of_an_entry_works_in_both_lists(Transport::WebSocket).await;
}
