//! Informational answers, and bodies that wait for one (RFC 9110 sections 10.1.1 and 15.2).

use std::time::Duration;

use anyproxy_tests::{
    lab::Site,
    target,
    user::{read_all, read_head},
};
use anyproxy_transport::Transport;
use tokio::{io::AsyncReadExt as _, time::Instant};

use crate::{Scene, answer, expect, request_to, send, status, take, values};

everywhere! {
    informational_answers_come_before_the_answer
    informational_answers_wait_for_the_answer_before
    users_of_http_1_0_get_no_informational_answers
    a_user_who_waits_for_100_is_told_to_continue_once
    a_user_who_waits_for_100_learns_of_a_failure_instead
    a_target_that_does_not_ask_for_a_body_gets_none
}

simulated! {
    a_target_is_asked_before_the_user_is
}

async fn informational_answers_come_before_the_answer(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    for path in ["/a", "/b"] {
        let hints = format!(
            "HTTP/1.1 103 Early Hints\r\nConnection: x-hop\r\nX-Hop: 1\r\nLink: <{path}>\r\n\r\n"
        );
        send(&mut target, hints).await;
        let head = read_head(&mut user).await.unwrap().to_lowercase();
        assert_eq!(head, format!("http/1.1 103 early hints\r\nlink: <{path}>\r\n\r\n"));
    }
    // And at one go with the answer.
    let together = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
                    HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    send(&mut target, together).await;
    for expected in [102, 100] {
        assert_eq!(status(&read_head(&mut user).await.unwrap()), expected);
    }
    assert_eq!(take(&mut user).await, (200, "ok".into()));
    scene.goes_on(&mut user, &mut target).await;
}

/// What belongs to the second request never lands within the answer to the first, of which the user
/// has not taken everything.
async fn informational_answers_wait_for_the_answer_before(site: Site, transport: Transport) {
    const SIZE: usize = 4 * 1024 * 1024;
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/1", "") + &scene.request("GET", "/2", "")).await;
    let mut target = scene.accept().await;
    let body = target::pattern(SIZE);
    let sending = async {
        read_head(&mut target).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        send(&mut target, [head.as_bytes(), &body].concat()).await;
        read_head(&mut target).await.unwrap();
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        send(&mut target, format!("{hints}HTTP/1.1 204 No Content\r\n\r\n")).await;
    };
    let receiving = async {
        assert_eq!(status(&read_head(&mut user).await.unwrap()), 200);
        let mut got = vec![0; SIZE];
        user.read_exact(&mut got).await.unwrap();
        assert!(got == body);
        for expected in [103, 204] {
            assert_eq!(status(&read_head(&mut user).await.unwrap()), expected);
        }
    };
    tokio::join!(sending, receiving);
    scene.goes_on(&mut user, &mut target).await;
}

async fn users_of_http_1_0_get_no_informational_answers(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "").replace("HTTP/1.1", "HTTP/1.0")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    send(&mut target, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
    answer(&mut user, &mut target, "ok").await;
}

/// Whether or not the target says so itself.
async fn a_user_who_waits_for_100_is_told_to_continue_once(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let mut target = None;
    for from_target in ["", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let fields = "Expect: 100-continue\r\nContent-Length: 4\r\n";
        send(&mut user, scene.request("PUT", "/", fields)).await;
        if target.is_none() {
            target = Some(scene.accept().await);
        }
        let target = target.as_mut().unwrap();
        read_head(target).await.unwrap();
        send(target, from_target).await;
        expect(&mut user, "HTTP/1.1 100 Continue\r\n\r\n").await;
        send(&mut user, "body").await;
        expect(target, "body").await;
        answer(&mut user, target, "ok").await;
    }
    scene.goes_on(&mut user, target.as_mut().unwrap()).await;
}

async fn a_user_who_waits_for_100_learns_of_a_failure_instead(site: Site, transport: Transport) {
    let nobody = target::nobody(&site);
    let scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let fields = "Expect: 100-continue\r\nContent-Length: 4\r\n";
    send(&mut user, request_to(nobody, "PUT", "/", fields)).await;
    let head = read_head(&mut user).await.unwrap();
    assert_eq!(status(&head), 502, "{head}");
    assert!(values(&head, "proxy-status")[0].contains("error=connection_refused"), "{head}");
}

/// RFC 9110 section 10.1.1: a final answer in place of 100 says that the body is not wanted. The user
/// gets it and is not asked, and nothing that came of the body reaches the target.
async fn a_target_that_does_not_ask_for_a_body_gets_none(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for refusal in ["417 Expectation Failed", "401 Unauthorized", "413 Content Too Large"] {
        let mut user = scene.user().await;
        let fields = "Expect: 100-continue\r\nContent-Length: 4\r\n";
        send(&mut user, scene.request("PUT", "/", fields)).await;
        let mut target = scene.accept().await;
        let head = read_head(&mut target).await.unwrap().to_lowercase();
        assert_eq!(values(&head, "expect"), ["100-continue"]);
        send(&mut target, format!("HTTP/1.1 {refusal}\r\nContent-Length: 2\r\n\r\nno")).await;
        let head = read_head(&mut user).await.unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {}", &refusal[..3])), "{head}");
        // What the user may send all the same cannot be told from a request.
        assert_eq!(values(&head.to_lowercase(), "connection"), ["close"]);
        expect(&mut user, "no").await;
        send(&mut user, "body").await;
        assert_eq!(read_all(&mut target).await.0, b"");
        assert_eq!(read_all(&mut user).await.0, b"");
    }
}

/// Within the time in which the gateway would lose its patience, and not before the target.
async fn a_target_is_asked_before_the_user_is(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    for patience in [Duration::from_millis(500), Duration::from_millis(1100)] {
        let began = Instant::now();
        let fields = "Expect: 100-continue\r\nContent-Length: 4\r\n";
        send(&mut user, scene.request("PUT", "/", fields)).await;
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        let asking = async {
            tokio::time::sleep(patience).await;
            send(&mut target, "HTTP/1.1 100 Continue\r\n\r\n").await;
        };
        let asked = async {
            expect(&mut user, "HTTP/1.1 100 Continue\r\n\r\n").await;
            began.elapsed()
        };
        let ((), asked) = tokio::join!(asking, asked);
        let least = patience.min(Duration::from_secs(1));
        assert!((least..least + Duration::from_millis(200)).contains(&asked), "{asked:?}");
        send(&mut user, "body").await;
        expect(&mut target, "body").await;
        // The connection is not to be used again.
        send(&mut target, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        assert_eq!(status(&read_head(&mut user).await.unwrap()), 204);
    }
}
