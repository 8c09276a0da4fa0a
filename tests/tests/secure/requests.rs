//! Plain requests over HTTP/2: the user speaks HTTP/2, the target HTTP/1.1.

use anyproxy_tests::{lab::Site, target, user::read_head};
use anyproxy_transport::Transport;
use h2::Reason;
use http::{HeaderMap, Method};
use tokio::io::AsyncReadExt as _;

use crate::{Scene, collect, expect, expect_data, send};

everywhere! {
    a_request_and_its_answer_pass
    many_requests_pass_at_once
    trailers_pass_both_ways
    informational_answers_pass
    a_body_waits_until_the_target_asks_for_it
    a_body_that_the_target_does_not_ask_for_is_not_sent
    an_answer_that_breaks_off_is_reset
    a_user_who_resets_ends_the_request
    what_is_no_request_to_a_proxy_gets_advice
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// RFC 9113 section 8.2.3: cookies in pieces become one.
async fn a_request_and_its_answer_pass(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let asked = scene
        .request(Method::POST, "/x?y")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("content-length", "4")
        .body(())
        .unwrap();
    let (response, mut up) = sender.send_request(asked, false).unwrap();
    up.send_data("body".into(), true).unwrap();
    let mut target = scene.accept().await;
    let head = read_head(&mut target).await.unwrap();
    let mut lines = head.trim_end().lines().map(str::to_lowercase).collect::<Vec<_>>();
    lines[1..].sort();
    let host = format!("host: {}", scene.target);
    assert_eq!(lines, ["post /x?y http/1.1", "content-length: 4", "cookie: a=1; b=2", &host]);
    expect(&mut target, "body").await;
    send(
        &mut target,
        "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade, x-hop\r\nUpgrade: h2c\r\nX-Hop: 1\r\n\
         Keep-Alive: timeout=5\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let mut response = response.await.unwrap();
    assert_eq!(response.status(), 426);
    let mut names = response.headers().keys().map(http::HeaderName::as_str).collect::<Vec<_>>();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "x-y"]);
    assert_eq!(collect(response.body_mut()).await, (b"ok".to_vec(), Ok(())));
    // Without a body, as HEAD, and over the same connection to the target.
    let head = scene.request(Method::HEAD, "/").body(()).unwrap();
    let (response, _) = sender.send_request(head, true).unwrap();
    read_head(&mut target).await.unwrap();
    send(&mut target, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
    let response = response.await.unwrap();
    assert_eq!(response.headers()["content-length"], "1000");
    assert!(response.body().is_end_stream());
}

async fn many_requests_pass_at_once(site: Site, transport: Transport) {
    const SIZE: usize = 300_000;
    let scene = Scene::start(site, transport).await;
    let target = target::http(&scene.lab.site, target::Framing::Length, SIZE);
    let (mut sender, _connection) = scene.http2().await;
    let mut responses = Vec::new();
    for number in 0..50 {
        let mut asked = scene.request(Method::GET, "/").body(()).unwrap();
        *asked.uri_mut() = format!("http://{target}/{number}").parse().unwrap();
        sender = sender.ready().await.unwrap();
        responses.push(sender.send_request(asked, true).unwrap().0);
    }
    let body = target::pattern(SIZE);
    let mut readers = Vec::new();
    for response in responses {
        readers.push(tokio::spawn(async move {
            let mut response = response.await.unwrap();
            assert_eq!(response.status(), 200);
            collect(response.body_mut()).await
        }));
    }
    for reader in readers {
        let (got, end) = reader.await.unwrap();
        assert!(got == body && end == Ok(()), "{} bytes, {end:?}", got.len());
    }
}

async fn trailers_pass_both_ways(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let asked = scene.request(Method::POST, "/").header("te", "trailers").body(()).unwrap();
    let (response, mut up) = sender.send_request(asked, false).unwrap();
    up.send_data("up".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-up", "8".parse().unwrap());
    up.send_trailers(trailers).unwrap();
    let mut target = scene.accept().await;
    let head = read_head(&mut target).await.unwrap().to_lowercase();
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
    assert!(head.contains("\r\nte: trailers\r\n"), "{head}");
    expect(&mut target, "2\r\nup\r\n0\r\n").await;
    let mut end = String::new();
    while !end.ends_with("\r\n\r\n") && end != "\r\n" {
        end.push(target.read_u8().await.unwrap().into());
    }
    send(
        &mut target,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Down\r\n\r\n\
         4\r\ndown\r\n0\r\nX-Down: 9\r\n\r\n",
    )
    .await;
    let mut response = response.await.unwrap();
    assert_eq!(collect(response.body_mut()).await, (b"down".to_vec(), Ok(())));
    let trailers = response.body_mut().trailers().await.unwrap().unwrap();
    assert_eq!(trailers["x-down"], "9");
}

async fn informational_answers_pass(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let asked = scene.request(Method::GET, "/").body(()).unwrap();
    let (mut response, _) = sender.send_request(asked, true).unwrap();
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    for _ in 0..2 {
        let hints =
            "HTTP/1.1 103 Early Hints\r\nConnection: x-hop\r\nX-Hop: 1\r\nLink: </x>\r\n\r\n";
        send(&mut target, hints).await;
        let hints = informational(&mut response).await;
        assert_eq!(hints.status(), 103);
        assert_eq!(hints.headers().len(), 1, "{hints:?}");
        assert_eq!(hints.headers()["link"], "</x>");
    }
    send(&mut target, OK).await;
    let mut response = response.await.unwrap();
    assert_eq!(collect(response.body_mut()).await, (b"ok".to_vec(), Ok(())));
}

async fn informational(response: &mut h2::client::ResponseFuture) -> http::Response<()> {
    std::future::poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap()
}

async fn a_body_waits_until_the_target_asks_for_it(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    // One that asks, and one that knows nothing of that and waits.
    for asks in ["HTTP/1.1 100 Continue\r\n\r\n", ""] {
        let asked = scene.request(Method::PUT, "/").header("expect", "100-continue");
        let asked = asked.header("content-length", "4").body(()).unwrap();
        let (mut response, mut up) = sender.send_request(asked, false).unwrap();
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        send(&mut target, asks).await;
        assert_eq!(informational(&mut response).await.status(), 100);
        up.send_data("body".into(), true).unwrap();
        expect(&mut target, "body").await;
        send(&mut target, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        assert_eq!(response.await.unwrap().status(), 204);
    }
}

async fn a_body_that_the_target_does_not_ask_for_is_not_sent(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let asked = scene.request(Method::PUT, "/").header("expect", "100-continue").body(()).unwrap();
    let (response, mut up) = sender.send_request(asked, false).unwrap();
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    send(&mut target, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno").await;
    let mut response = response.await.unwrap();
    assert_eq!(response.status(), 417);
    assert_eq!(collect(response.body_mut()).await, (b"no".to_vec(), Ok(())));
    // RFC 9113 section 8.1: the rest of the request is not wanted.
    let reset = std::future::poll_fn(|cx| up.poll_reset(cx)).await.unwrap();
    assert_eq!(reset, Reason::NO_ERROR);
    assert_eq!(anyproxy_tests::user::read_all(&mut target).await.0, b"");
}

async fn an_answer_that_breaks_off_is_reset(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    for framing in
        ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        let asked = scene.request(Method::GET, "/").body(()).unwrap();
        let (response, _) = sender.send_request(asked, true).unwrap();
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        send(&mut target, format!("HTTP/1.1 200 OK\r\n{framing}")).await;
        let mut response = response.await.unwrap();
        expect_data(response.body_mut(), "half").await;
        drop(target);
        let (rest, end) = collect(response.body_mut()).await;
        assert_eq!((rest, end), (vec![], Err(Some(Reason::INTERNAL_ERROR))));
    }
}

async fn a_user_who_resets_ends_the_request(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    for answered in [false, true] {
        let asked = scene.request(Method::POST, "/").body(()).unwrap();
        let (response, mut up) = sender.send_request(asked, false).unwrap();
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        let mut kept = None;
        if answered {
            send(&mut target, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
            let mut response = response.await.unwrap();
            expect_data(response.body_mut(), "half").await;
            kept = Some(response);
        } else {
            drop(response);
        }
        up.send_reset(Reason::CANCEL);
        let _ = anyproxy_tests::user::read_all(&mut target).await;
        drop(kept);
    }
}

async fn what_is_no_request_to_a_proxy_gets_advice(site: Site, transport: Transport) {
    let scene = Scene::start(site, transport).await;
    let (sender, _connection) = scene.http2().await;
    let mut sender = sender.ready().await.unwrap();
    let mut asked = scene.request(Method::GET, "/").body(()).unwrap();
    *asked.uri_mut() = "https://gateway.test/".parse().unwrap();
    let (response, _) = sender.send_request(asked, true).unwrap();
    let mut response = response.await.unwrap();
    assert_eq!(response.status(), 400);
    let (text, _) = collect(response.body_mut()).await;
    assert!(String::from_utf8(text).unwrap().contains("CONNECT"));
}
