//! What `anyproxy doctor` says of set-ups that are broken, over the simulated network.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure is the test's result"
)]

#[path = "doctor/clinic.rs"]
mod clinic;
#[allow(dead_code, reason = "one of its scripts is enough here")]
#[path = "proxy_dial/scripted.rs"]
mod scripted;

use std::time::{Duration, SystemTime};

use anyproxy::doctor::{Status, Surroundings};
use anyproxy_tests::{
    lab::{self, Options},
    net::{LinkSettings, Switch},
    target,
};
use anyproxy_transport::{Transport, net::UdpBuffers};
use clinic::{Clinic, valid};
use scripted::{Script, Scripted};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(start_paused = true)]
async fn nothing_is_found_where_nothing_is_wrong() {
    let clinic = Clinic::new();
    let echo = target::echo(&clinic.site);
    let file =
        format!("[[forward]]\nname = \"echo\"\nlisten = \"127.0.0.1:0\"\ntarget = \"{echo}\"\n");
    let report = clinic.examine(&file).await;
    assert_eq!(report.result(), Status::Ok, "{}", report.text());
    for check in
        ["resolve", "tcp", "tls", "websocket", "udp", "quic", "mtu", "clock", "login", "target"]
    {
        let found = report.of(check).collect::<Vec<_>>();
        let [one] = &found[..] else { panic!("{check}: {found:?}") };
        assert_eq!(one.status, Status::Ok, "{}", report.text());
    }
}

#[tokio::test(start_paused = true)]
async fn blocked_udp_is_named_and_matters_only_where_nothing_else_would_do() {
    let clinic = Clinic::new();
    clinic.link().black_hole_udp(Switch::On);
    for (transport, expected) in [("auto", Status::Warn), ("quic", Status::Fail)] {
        let report = clinic.examine(&format!("transport = \"{transport}\"\n")).await;
        let udp = report.of("udp").next().unwrap();
        assert_eq!(udp.status, expected, "{}", report.text());
        assert!(udp.value.contains("UDP is blocked"), "{}", udp.value);
        assert!(udp.fix.contains("udp dport") && udp.fix.contains("ws"), "{}", udp.fix);
        assert_eq!(report.result(), expected, "{}", report.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_path_that_carries_the_least_is_named() {
    let clinic = Clinic::new();
    let settings =
        LinkSettings { mtu: 1200, ..LinkSettings::with_delay(Duration::from_millis(10)) };
    clinic.link().set(settings);
    let report = clinic.examine("").await;
    let mtu = report.of("mtu").next().unwrap();
    assert_eq!(mtu.status, Status::Warn, "{}", report.text());
    assert!(mtu.value.starts_with("1200 bytes") && mtu.fix.contains("mtu 1500"), "{mtu:?}");
    assert_eq!(report.result(), Status::Warn, "{}", report.text());
}

/// With the heads of IP and UDP a packet of QUIC's least size has 1228 bytes, so nothing of it arrives.
#[tokio::test(start_paused = true)]
async fn a_path_too_narrow_for_quic_is_not_taken_for_blocked_udp() {
    let clinic = Clinic::new();
    clinic.link().black_hole_udp(Switch::On);
    for (transport, expected) in [("auto", Status::Warn), ("quic", Status::Fail)] {
        let here = Surroundings { path_mtu: |_| Some(1200), ..clinic.here() };
        let report = clinic.examine_in(&format!("transport = \"{transport}\"\n"), &here).await;
        let mtu = report.of("mtu").next().unwrap();
        assert_eq!(mtu.status, expected, "{}", report.text());
        assert!(mtu.value.contains("1200") && mtu.value.contains("needs 1228"), "{mtu:?}");
        assert!(mtu.fix.contains("mtu 1500") && mtu.fix.contains("ws"), "{mtu:?}");
        assert_eq!(report.of("udp").next().unwrap().status, Status::Skip, "{}", report.text());
        assert_eq!(report.result(), expected, "{}", report.text());
    }
    let wide = Surroundings { path_mtu: |_| Some(1228), ..clinic.here() };
    let report = clinic.examine_in("", &wide).await;
    assert!(report.of("udp").next().unwrap().value.contains("blocked"), "{}", report.text());
}

#[tokio::test(start_paused = true)]
async fn a_wrong_pin_is_named_with_the_one_that_was_seen() {
    let clinic = Clinic::new();
    let wrong = format!("sha256:{}", "0a".repeat(32));
    let report = clinic.examine_trusting(&format!("pin = \"{wrong}\"\n"), "").await;
    let tls = report.of("tls").next().unwrap();
    assert_eq!(tls.status, Status::Fail, "{}", report.text());
    assert!(tls.value.contains("wrong pin") && tls.value.contains(&wrong), "{}", tls.value);
    let right = clinic.pin();
    assert!(tls.fix.contains(&format!("pin = \"{right}\"")), "{}", tls.fix);
    let report = clinic.examine_trusting(&format!("pin = \"{right}\"\n"), "").await;
    assert_eq!(report.result(), Status::Ok, "{}", report.text());
}

#[tokio::test(start_paused = true)]
async fn an_expired_certificate_is_told_from_a_wrong_clock() {
    let now = SystemTime::now();
    let clinic = Clinic::with(valid(now - 90 * DAY, now - 3 * DAY), Options::new(Transport::Quic));
    let report = clinic.examine("").await;
    let tls = report.of("tls").next().unwrap();
    assert_eq!(tls.status, Status::Fail, "{}", report.text());
    assert!(tls.value.contains("expired on"), "{}", tls.value);
    assert!(tls.fix.starts_with("renew it") && !tls.fix.contains("clock"), "{}", tls.fix);
    assert_eq!(report.of("clock").next().unwrap().status, Status::Ok, "{}", report.text());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_by_a_year_is_named_and_the_certificate_is_not_blamed() {
    let now = SystemTime::now();
    let clinic = Clinic::with(valid(now - 30 * DAY, now + 60 * DAY), Options::new(Transport::Quic));
    for (ours, words) in [(now + 365 * DAY, "ahead of"), (now - 365 * DAY, "behind")] {
        let here = Surroundings { now: ours, ..clinic.here() };
        let report = clinic.examine_in("", &here).await;
        let clock = report.of("clock").next().unwrap();
        assert_eq!(clock.status, Status::Fail, "{}", report.text());
        let expected = ["365 days", "364 days"].iter().any(|days| clock.value.contains(days));
        assert!(expected && clock.value.contains(words), "{}", clock.value);
        assert!(clock.fix.contains("set-ntp"), "{}", clock.fix);
        let tls = report.of("tls").next().unwrap();
        assert_eq!(tls.status, Status::Fail, "{}", report.text());
        assert!(tls.fix.contains("clock is wrong") && !tls.fix.contains("renew"), "{}", tls.fix);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_named_over_either_transport() {
    let clinic = Clinic::new();
    std::fs::write(clinic.path("secret"), "another secret of 128 bits and more").unwrap();
    for transport in ["quic", "ws"] {
        let report = clinic.examine(&format!("transport = \"{transport}\"\n")).await;
        let login = report.of("login").next().unwrap();
        assert_eq!(login.status, Status::Fail, "{}", report.text());
        assert!(login.value.contains("with this secret"), "{}", login.value);
        assert!(login.fix.contains("anyproxy group secret demo"), "{}", login.fix);
        assert_eq!(report.failed(), 1, "{}", report.text());
        assert!(!report.text().contains("another secret"), "{}", report.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_wants_authentication_is_named() {
    let clinic = Clinic::new();
    let proxy = clinic.world.host("proxy", [198, 18, 0, 9].into());
    let script = Script::Pass { login: Some(("ann", "right")), idle: Duration::from_secs(60) };
    let _proxy = Scripted::start(proxy.net(), "198.18.0.9:3128".parse().unwrap(), script);
    for (user, words, fix) in
        [("", "it wants a user", "proxy_password_file"), ("ann@", "does not accept", "correct")]
    {
        let file = format!("transport = \"ws\"\nproxy = \"http://{user}198.18.0.9:3128\"\n");
        let report = clinic.examine(&file).await;
        let proxy = report.of("proxy").next().unwrap();
        assert_eq!(proxy.status, Status::Fail, "{}", report.text());
        assert!(proxy.value.contains(words) && proxy.value.contains("407"), "{}", proxy.value);
        assert!(proxy.fix.contains(fix), "{}", proxy.fix);
    }
    let password = "proxy_password_file = \"password\"\n";
    std::fs::write(clinic.path("password"), "right").unwrap();
    let file = format!("transport = \"ws\"\nproxy = \"http://ann@198.18.0.9:3128\"\n{password}");
    let report = clinic.examine(&file).await;
    assert_eq!(report.failed(), 0, "{}", report.text());
    assert_eq!(report.of("proxy").next().unwrap().status, Status::Ok, "{}", report.text());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_denied_is_told_from_one_that_refuses() {
    let clinic = Clinic::new();
    let file = "[policy]\ndeny = [\"198.18.0.4\"]\n\
                [[forward]]\nname = \"a\"\nlisten = \"127.0.0.1:8001\"\ntarget = \"198.18.0.4:80\"\n\
                [[forward]]\nname = \"b\"\nlisten = \"127.0.0.1:8002\"\ntarget = \"198.18.0.3:80\"\n";
    let report = clinic.examine(file).await;
    let found = report.of("target").collect::<Vec<_>>();
    let [refused, denied] = &found[..] else { panic!("{}", report.text()) };
    assert!(denied.value.contains("denied by policy"), "{}", denied.value);
    assert!(denied.fix.contains("`deny`"), "{}", denied.fix);
    assert!(refused.value.contains("refused"), "{}", refused.value);
    assert!(refused.fix.contains("start the service"), "{}", refused.fix);
    assert_eq!(report.failed(), 2, "{}", report.text());
}

#[tokio::test(start_paused = true)]
async fn small_udp_buffers_are_named_with_the_line_that_enlarges_them() {
    let clinic = Clinic::new();
    let buffers = UdpBuffers { asked: 7_340_032, receive: 212_992, send: 212_992 };
    let here = Surroundings { udp_buffers: Some(buffers), ..clinic.here() };
    let report = clinic.examine_in("", &here).await;
    let found = report.of("udp_buffers").next().unwrap();
    assert_eq!(found.status, Status::Warn, "{}", report.text());
    assert!(found.value.contains("208 KiB"), "{}", found.value);
    let sysctl = "sysctl -w net.core.rmem_max=7340032 net.core.wmem_max=7340032";
    assert!(found.fix.contains(sysctl), "{}", found.fix);
}

/// A person asks while the client runs: its session, and the connections over it, know nothing of it.
#[tokio::test(start_paused = true)]
async fn a_live_session_of_the_same_client_is_left_alone() {
    for transport in [Transport::Quic, Transport::WebSocket] {
        let clinic = Clinic::new();
        let echo = target::echo(&clinic.site);
        let options = Options::new(transport).forwards(&[echo]);
        let client = clinic.client(&options);
        let ports = lab::connected(&client).await;
        let mut user = clinic.user(ports[0]).await;
        let sessions = clinic.gateway.sessions();
        let mut state = client.state();
        state.mark_unchanged();
        let report = clinic.examine("client_id = \"lab\"\n").await;
        assert_eq!(report.result(), Status::Ok, "{}", report.text());
        assert_eq!(clinic.gateway.sessions(), sessions);
        anyproxy_tests::party::ping(&mut user).await.unwrap();
        assert!(!state.has_changed().unwrap(), "the client noticed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_not_there_is_named_in_time() {
    let clinic = Clinic::new();
    clinic.link().black_hole(Switch::On);
    let began = tokio::time::Instant::now();
    let report = clinic.examine("").await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(report.failed() >= 2, "{}", report.text());
    let tcp = report.of("tcp").next().unwrap();
    assert!(tcp.value.contains("does not answer"), "{}", tcp.value);
}
