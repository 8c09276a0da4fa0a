use std::{sync::atomic::Ordering, time::Duration};

use anyproxy_runtime::Scope;
use anyproxy_wire::{codes::OpenCode, message::Target};
use tokio::time::Instant;

use super::*;
use crate::ingress::testing::{Near as UserEnd, OneUser, Script, Scripted, addr, ingress, pair};

const HELLO: &[u8] = b"\x05\x01\x02";
const LOGIN: &[u8] = b"\x01\x03ann\x06s:cret";
const ASK: &[u8] = b"\x05\x01\x00\x03\x02db\x15\x38";

struct Setup {
    user: UserEnd,
    gateway: Arc<Ingress<Scripted, OneUser>>,
    scope: Scope,
}

fn start(script: Script) -> Setup {
    let (user, conn) = pair(4096);
    let gateway = ingress(script);
    let scope = Scope::root("test");
    scope.spawn(
        "user",
        serve(conn, Beginning::now(), addr("192.0.2.1:1000"), gateway.clone(), scope.clone()),
    );
    Setup { user, gateway, scope }
}

impl Setup {
    async fn send(&mut self, parts: &[&[u8]]) {
        self.user.io.write_all(&parts.concat()).await.unwrap();
    }

    /// Everything up to the end of the connection.
    async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.user.io.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    async fn close(self) {
        drop(self.user);
        self.scope.drain();
        self.scope.finished().await;
    }
}

fn refusal(code: OpenCode) -> Script {
    Script::Fail(OpenFailure::Refused { code, detail: String::new() })
}

#[tokio::test(start_paused = true)]
async fn the_true_reason_of_a_failed_open_is_told() {
    for (code, reply) in [(OpenCode::Refused, 5), (OpenCode::Denied, 2), (OpenCode::Draining, 1)] {
        let mut setup = start(refusal(code));
        setup.send(&[HELLO, LOGIN, ASK]).await;
        let expected = [&[5, 2, 1, 0][..], &handshake::reply(reply)].concat();
        assert_eq!(setup.rest().await, expected);
        let asked = setup.gateway.route.asked.lock().unwrap().remove(0);
        assert_eq!(asked.opening.target, Target::Name("db:5432".into()));
        assert_eq!(&*asked.group, "lab");
        assert_eq!(asked.opening.source, Some(addr("192.0.2.1:1000")));
        assert_eq!(asked.opening.destination, Some(addr("192.0.2.2:8080")));
        setup.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn users_who_may_not_are_told_so_and_open_nothing() {
    let cases: [(&[u8], &[u8]); 7] = [
        // SOCKS4 and 4a.
        (b"\x04\x01\x00\x50\x0a\x00\x00\x01ann\x00", &[0, 0x5b, 0, 0, 0, 0, 0, 0]),
        (b"\x04", &[0, 0x5b, 0, 0, 0, 0, 0, 0]),
        (b"\x05\x01\x00", &[5, 0xff]),
        (b"\x05\x01\x02\x01\x03ann\x05wrong", &[5, 2, 1, 1]),
        (b"\x05\x01\x02\x01\x04busy\x01x", &[5, 2, 1, 1]),
        (b"GET / HTTP/1.1\r\n\r\n", &[]),
        (b"\x05\x01\x02\x05", &[5, 2]),
    ];
    for (sent, expected) in cases {
        let mut setup = start(Script::Hang);
        setup.send(&[sent]).await;
        assert_eq!(setup.rest().await, expected, "{sent:?}");
        assert!(setup.gateway.route.asked.lock().unwrap().is_empty());
        setup.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_cannot_be_served_are_refused() {
    for (request, code) in [
        // The test's host has no sockets.
        (&b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00"[..], 1),
        (b"\x05\x02\x00\x01\x0a\x00\x00\x01\x00\x50", 7),
        (b"\x05\x01\x00\x05", 8),
        (b"\x05\x01\x00\x03\x00\x00\x50", 1),
    ] {
        let mut setup = start(Script::Hang);
        setup.send(&[HELLO, LOGIN, request]).await;
        let expected = [&[5, 2, 1, 0][..], &handshake::reply(code)].concat();
        assert_eq!(setup.rest().await, expected, "{request:?}");
        setup.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_leaves_while_dialling_takes_the_open_along() {
    let mut setup = start(Script::Hang);
    setup.send(&[HELLO, LOGIN, ASK]).await;
    setup.user.io.read_exact(&mut [0; 4]).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(setup.gateway.route.waiting.load(Ordering::SeqCst), 1);
    let start = Instant::now();
    let gateway = setup.gateway.clone();
    setup.close().await;
    assert_eq!(gateway.route.waiting.load(Ordering::SeqCst), 0);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_open_without_an_answer_ends_at_the_deadline() {
    let mut setup = start(Script::Hang);
    let start = Instant::now();
    setup.send(&[HELLO, LOGIN, ASK, b"early"]).await;
    let expected = [&[5, 2, 1, 0][..], &handshake::reply(4)].concat();
    assert_eq!(setup.rest().await, expected);
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    setup.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_trickled_head_ends_at_the_deadline() {
    let mut setup = start(Script::Hang);
    let start = Instant::now();
    for byte in b"\x05\x02\x00\x02" {
        setup.send(&[&[*byte]]).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(setup.rest().await, [5, 2]);
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    setup.close().await;
}
