//! A gateway whose certificate is not to be accepted: the client says why and what to do, keeps trying without haste,
//! and is back by itself when the certificate is replaced.
//!
//! rustls asks the machine's clock, so a clock that is a year off is shown by a certificate that is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure is the test's result"
)]

#[macro_use]
extern crate anyproxy_tests;

use std::time::Duration;

use anyproxy_client::{Client, State};
use anyproxy_gateway::Gateway;
use anyproxy_tests::{
    lab::{self, Certificates, Lab, Options, Site},
    party::ping,
    target,
    user::{WAYS, Way},
};
use anyproxy_transport::{Identity, Transport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tokio::time::{Instant, sleep};

simulated! {
    an_expired_certificate_is_named_and_its_successor_taken
    a_certificate_of_the_future_is_named_and_its_successor_taken
    a_certificate_for_another_name_is_named_and_its_successor_taken
    a_rotated_certificate_disturbs_nobody
}

/// How long a bad certificate stays.
const LONG: Duration = Duration::from_secs(600);
/// Pauses are between nothing and 30 s (full jitter), so there are about four tries in a minute.
const MOST_TRIES: u32 = 10 * 8;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut ca = CertificateParams::new(vec![]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `name` that is valid from the start of one year to the start of another.
    fn issue(&self, name: &str, years: (i32, i32)) -> Certificates {
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.not_before = date_time_ymd(years.0, 1, 1);
        leaf.not_after = date_time_ymd(years.1, 1, 1);
        let leaf = leaf.signed_by(&key, &self.0).unwrap();
        Certificates {
            ca: self.0.pem(),
            chain: format!("{}{}", leaf.pem(), self.0.pem()),
            key: key.serialize_pem(),
        }
    }

    fn good(&self) -> Certificates {
        self.issue("gateway.test", (2000, 3000))
    }
}

fn show(gateway: &Gateway, certificates: &Certificates) {
    let (chain, key) = (certificates.chain.as_bytes(), certificates.key.as_bytes());
    gateway.set_identity(&Identity::from_pem(chain, key).unwrap());
}

/// What the client says while `bad` is shown; then it gets a good one.
async fn named_and_replaced(
    (site, transport): (Site, Transport),
    authority: &Authority,
    bad: &Certificates,
) -> String {
    let target = target::echo(&site);
    let options = Options::new(transport).forwards(&[target]);
    let gateway = lab::start_gateway(&site, &options, bad);
    let client = lab::start_client(&site, &options, bad, gateway.addresses().tunnels);
    let (complaint, tries) = complaints(&client).await;
    assert!((10..MOST_TRIES).contains(&tries), "{tries} in ten minutes");
    assert_eq!(gateway.sessions(), 0);

    show(&gateway, &authority.good());
    let began = Instant::now();
    let ports = lab::connected(&client).await;
    assert!(began.elapsed() < Duration::from_secs(31), "{:?}", began.elapsed());
    let lab = Lab { gateway, client, site, ports };
    for way in WAYS {
        ping(&mut lab.connect(way, target).await).await.unwrap();
    }
    complaint
}

/// What a client says in ten minutes, which is always the same, and how often it tried.
async fn complaints(client: &Client) -> (String, u32) {
    let (began, mut state, mut said, mut tries) = (Instant::now(), client.state(), None, 0);
    while began.elapsed() < LONG {
        let waiting = state.wait_for(|state| matches!(state, State::Waiting(_))).await.unwrap();
        let State::Waiting(text) = waiting.clone() else { panic!("it waits") };
        drop(waiting);
        let first = said.get_or_insert_with(|| text.clone());
        // The time of day is in it.
        assert_eq!(first.split("; ").next().unwrap().split(':').next(), text.split(':').next());
        tries += 1;
        state.wait_for(|state| *state == State::Connecting).await.unwrap();
    }
    (said.unwrap(), tries)
}

async fn an_expired_certificate_is_named_and_its_successor_taken(site: Site, transport: Transport) {
    let authority = Authority::new();
    let bad = authority.issue("gateway.test", (2000, 2020));
    let text = named_and_replaced((site, transport), &authority, &bad).await;
    assert!(text.contains("certificate expired"), "{text}");
    assert!(text.contains("renew it on the gateway"), "{text}");
    assert!(text.contains("or this machine's clock is wrong: it says 2"), "{text}");
}

async fn a_certificate_of_the_future_is_named_and_its_successor_taken(
    site: Site,
    transport: Transport,
) {
    let authority = Authority::new();
    let bad = authority.issue("gateway.test", (2900, 3000));
    let text = named_and_replaced((site, transport), &authority, &bad).await;
    assert!(text.contains("certificate not valid yet"), "{text}");
    assert!(text.contains("or this machine's clock is wrong: it says 2"), "{text}");
}

async fn a_certificate_for_another_name_is_named_and_its_successor_taken(
    site: Site,
    transport: Transport,
) {
    let authority = Authority::new();
    let bad = authority.issue("other.test", (2000, 3000));
    let text = named_and_replaced((site, transport), &authority, &bad).await;
    assert!(text.contains("other.test") && text.contains("gateway.test"), "{text}");
    assert!(text.contains("set `server_name`"), "{text}");
}

/// Even one of another CA: who is there has been shown the old one, and stays.
async fn a_rotated_certificate_disturbs_nobody(site: Site, transport: Transport) {
    let authority = Authority::new();
    let target = target::echo(&site);
    let (options, first) = (Options::new(transport).forwards(&[target]), authority.good());
    let gateway = lab::start_gateway(&site, &options, &first);
    let client = lab::start_client(&site, &options, &first, gateway.addresses().tunnels);
    let ports = lab::connected(&client).await;
    let lab = Lab { gateway, client, site, ports };
    let mut live = lab.connect(Way::Http, target).await;
    for next in [authority.good(), Authority::new().good(), authority.good()] {
        show(&lab.gateway, &next);
        sleep(LONG).await;
        ping(&mut live).await.unwrap();
        assert!(matches!(&*lab.client.state().borrow(), State::Connected { .. }));
        assert_eq!(lab.gateway.sessions(), 1);
    }
}
