use std::{sync::atomic::Ordering as Atomic, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_wire::{codes::OpenCode, message::Target};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::*;
use crate::ingress::{
    Beginning, OpenFailure,
    testing::{LOGIN, Near, OneUser, Script, Scripted, addr, ingress, pair},
};

struct Setup {
    user: Near,
    gateway: Arc<Ingress<Scripted, OneUser>>,
    scope: Scope,
}

fn start(script: Script) -> Setup {
    let (user, conn) = pair(64 * 1024);
    let gateway = ingress(script);
    let scope = Scope::root("test");
    let peer = addr("192.0.2.1:1000");
    let serving = serve(conn, Beginning::now(), peer, gateway.clone(), scope.clone());
    scope.spawn("user", serving);
    Setup { user, gateway, scope }
}

impl Setup {
    async fn send(&mut self, text: &str) {
        self.user.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// A response with a length, head and body.
    async fn response(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(self.user.io.read_u8().await.unwrap());
        }
        let head = String::from_utf8_lossy(&text).to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let mut body = vec![0; length.map_or(0, |digits| digits.parse().unwrap())];
        self.user.io.read_exact(&mut body).await.unwrap();
        text.extend_from_slice(&body);
        String::from_utf8(text).unwrap()
    }

    async fn rest(&mut self) -> String {
        let mut text = String::new();
        self.user.io.read_to_string(&mut text).await.unwrap();
        text
    }

    async fn close(self) {
        drop(self.user);
        self.scope.drain();
        self.scope.finished().await;
    }
}

fn refusal(code: OpenCode) -> Script {
    Script::Fail(OpenFailure::Refused { code, detail: "nobody \"home\"".into() })
}

#[tokio::test(start_paused = true)]
async fn the_true_reason_of_a_failed_open_is_told() {
    for (line, target) in [
        ("CONNECT [2001:db8::1]:5432 HTTP/1.1", "[2001:db8::1]:5432"),
        ("GET http://db/x HTTP/1.1", "db:80"),
    ] {
        let mut setup = start(refusal(OpenCode::Refused));
        setup.send(&format!("{line}\r\nHost: db\r\n{LOGIN}\r\n")).await;
        let response = setup.response().await;
        assert!(response.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{response}");
        let status = format!(
            "anyproxy; error=connection_refused; details=\"cannot reach {target}: \
             refused by the target (nobody \\\"home\\\")"
        );
        assert!(response.contains(&status), "{response}");
        let asked = setup.gateway.route.asked.lock().unwrap().remove(0);
        assert_eq!(asked.opening.target, Target::Name(target.into()));
        assert_eq!(asked.opening.user, "ann");
        setup.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_407_keeps_the_connection_for_the_login() {
    let mut setup = start(refusal(OpenCode::Denied));
    let ask = "CONNECT db:5432 HTTP/1.1\r\nHost: db\r\n";
    setup.send(&format!("{ask}\r\n")).await;
    let response = setup.response().await;
    assert!(response.starts_with("HTTP/1.1 407 "), "{response}");
    let challenge = "Basic realm=\"anyproxy\", charset=\"UTF-8\"";
    assert!(response.contains(challenge), "{response}");
    setup.send(&format!("{ask}Proxy-Authorization: Basic YW5uOnh4\r\n\r\n")).await;
    assert!(setup.response().await.starts_with("HTTP/1.1 407 "));
    setup.send(&format!("{ask}Proxy-Authorization: Basic YnVzeTp4\r\n\r\n")).await;
    let response = setup.response().await.to_lowercase();
    assert!(response.starts_with("http/1.1 429 "), "{response}");
    assert!(response.contains("retry-after: 5"), "{response}");
    assert!(setup.gateway.route.asked.lock().unwrap().is_empty());
    setup.send(&format!("{ask}{LOGIN}\r\n")).await;
    assert!(setup.response().await.starts_with("HTTP/1.1 403 "));
    setup.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_for_a_proxy_gets_advice() {
    for (line, advice) in [
        ("GET / HTTP/1.1", "this is a proxy"),
        ("OPTIONS * HTTP/1.1", "this is a proxy"),
        ("GET https://db/ HTTP/1.1", "ask for a tunnel"),
        ("CONNECT db HTTP/1.1", "has no port"),
    ] {
        let mut setup = start(Script::Hang);
        setup.send(&format!("{line}\r\nHost: db\r\n\r\n")).await;
        let response = setup.response().await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{line}: {response}");
        assert!(response.contains(advice), "{line}: {response}");
        setup.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_leaves_while_dialling_takes_the_open_along() {
    for line in ["CONNECT db:5432 HTTP/1.1", "GET http://db/x HTTP/1.1"] {
        let mut setup = start(Script::Hang);
        setup.send(&format!("{line}\r\nHost: db\r\n{LOGIN}\r\n")).await;
        while setup.gateway.route.waiting.load(Atomic::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let gateway = setup.gateway.clone();
        let start = Instant::now();
        setup.close().await;
        assert_eq!(gateway.route.waiting.load(Atomic::SeqCst), 0);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_without_an_answer_ends_at_the_deadline() {
    let mut setup = start(Script::Hang);
    let start = Instant::now();
    setup.send(&format!("CONNECT db:5432 HTTP/1.1\r\nHost: db\r\n{LOGIN}\r\nearly")).await;
    let response = setup.response().await;
    assert!(response.starts_with("HTTP/1.1 504 "), "{response}");
    assert!(response.contains("error=connection_timeout"), "{response}");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    setup.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_gets_a_408_and_a_stranger_who_idles_is_just_closed() {
    let mut setup = start(refusal(OpenCode::Denied));
    let start = Instant::now();
    setup.send("GET http://db/ HT").await;
    let response = setup.rest().await;
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(response.contains("\r\nProxy-Status: anyproxy; error=http_request_error; "));
    assert!(response.ends_with("\r\n\r\nthe request did not come in time\n"), "{response}");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    setup.close().await;

    let mut setup = start_answered().await;
    let start = Instant::now();
    assert_eq!(setup.rest().await, "");
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    setup.close().await;

    let mut setup = start_answered().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let start = Instant::now();
    setup.send("G").await;
    assert!(setup.rest().await.starts_with("HTTP/1.1 408 "));
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    setup.close().await;
}

/// A connection of which a request was turned away.
async fn start_answered() -> Setup {
    let mut setup = start(refusal(OpenCode::Denied));
    setup.send("GET http://db/ HTTP/1.1\r\nHost: db\r\n\r\n").await;
    assert!(setup.response().await.starts_with("HTTP/1.1 407 "));
    setup
}

#[tokio::test(start_paused = true)]
async fn draining_ends_idle_connections_at_once_and_busy_ones_after_their_answer() {
    let mut idle = start_answered().await;
    idle.scope.drain();
    assert_eq!(idle.rest().await, "");
    idle.close().await;

    let mut busy = start(Script::Hang);
    busy.send(&format!("GET http://db/ HTTP/1.1\r\nHost: db\r\n{LOGIN}\r\n")).await;
    while busy.gateway.route.waiting.load(Atomic::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    busy.scope.drain();
    let response = busy.rest().await.to_lowercase();
    assert!(response.starts_with("http/1.1 504 "), "{response}");
    assert!(response.contains("connection: close"), "{response}");
    busy.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_too_long_or_illegal_is_answered() {
    let long = format!("GET http://db/ HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MOST_BUFFERED));
    for (head, status) in [(&long[..], "431"), ("GET http://db/ HTTP/9\r\n\r\n", "400")] {
        let mut setup = start(Script::Hang);
        setup.send(head).await;
        let response = setup.rest().await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        setup.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_refusal_survives_an_upload_that_nobody_reads() {
    let mut setup = start(refusal(OpenCode::Denied));
    let head =
        format!("POST http://db/ HTTP/1.1\r\nHost: db\r\n{LOGIN}Content-Length: 50000\r\n\r\n");
    setup.send(&head).await;
    setup.send(&"x".repeat(50_000)).await;
    let response = setup.response().await;
    assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
    assert!(!setup.user.was_reset());
    setup.close().await;
}
