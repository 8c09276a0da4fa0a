//! Bodies: they arrive whole, piece by piece, and end where they end.

use anyproxy_tests::{
    lab::Site,
    target,
    user::{read_all, read_head},
};
use anyproxy_transport::{Transport, net::Conn};
use std::time::Duration;
use tokio::{io::AsyncWriteExt as _, time::Instant};

use crate::{Scene, answer, body_of, chunked, expect, piece, send, status, values};

everywhere! {
    every_request_and_answer_arrives_whole
    both_bodies_stream_at_once
    trailers_pass_both_ways
    trailers_that_nobody_asked_for_end_the_body_all_the_same
    an_answer_may_come_before_the_upload_is_complete
    an_answer_that_ends_with_the_connection_is_whole
    answers_without_a_body_end_at_their_head
}
simulated! {
    events_arrive_as_they_happen
    a_user_who_leaves_ends_the_request
}

/// Larger than any buffer of the proxy on the way.
const SIZE: usize = 300_000;

/// A message with a body of [`SIZE`], of which `framing` is `Content-Length` or chunked.
fn message(start: &str, framing: &str) -> Vec<u8> {
    let body = target::pattern(SIZE);
    let mut message = start.strip_suffix("\r\n").unwrap().as_bytes().to_vec();
    if framing == "chunked" {
        message.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(7_000) {
            message.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            message.extend(chunk);
            message.extend(b"\r\n");
        }
        message.extend(b"0\r\n\r\n");
    } else {
        message.extend(format!("Content-Length: {SIZE}\r\n\r\n").into_bytes());
        message.extend(body);
    }
    message
}

async fn head_and_body(conn: &mut Conn) -> (String, Vec<u8>) {
    let head = read_head(conn).await.unwrap();
    let (body, trailers) = body_of(&head, conn).await;
    assert_eq!(trailers, "");
    (head, body)
}

async fn every_request_and_answer_arrives_whole(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let mut target = None;
    let requests = [("GET", ""), ("HEAD", ""), ("DELETE", ""), ("PUT", "length")];
    let more = [("PUT", "chunked"), ("POST", "length"), ("POST", "chunked")];
    for (method, upload) in requests.into_iter().chain(more) {
        for download in ["length", "chunked"] {
            let what = format!("{method} {upload} {download}");
            let mut request = scene.request(method, "/a/b?c=d&e=%20", "").into_bytes();
            if !upload.is_empty() {
                request = message(&String::from_utf8(request).unwrap(), upload);
            }
            let arrives = async {
                if target.is_none() {
                    target = Some(scene.targets.recv().await.unwrap());
                }
                head_and_body(target.as_mut().unwrap()).await
            };
            let ((), (head, body)) = tokio::join!(send(&mut user, request), arrives);
            assert!(head.starts_with(&format!("{method} /a/b?c=d&e=%20 HTTP/1.1\r\n")), "{head}");
            assert_eq!(values(&head, "host"), [scene.target.to_string()]);
            let expected = if upload.is_empty() { vec![] } else { target::pattern(SIZE) };
            assert!(body == expected, "{what}: {} bytes went up", body.len());

            let target = target.as_mut().unwrap();
            let start = "HTTP/1.1 201 Made\r\nETag: \"e\"\r\n\r\n";
            if method == "HEAD" {
                let length = format!("HTTP/1.1 201 Made\r\nContent-Length: {SIZE}\r\n\r\n");
                send(target, length).await;
                let head = read_head(&mut user).await.unwrap();
                assert_eq!(values(&head, "content-length"), [SIZE.to_string()], "{head}");
                continue;
            }
            let reply = message(start, download);
            let ((), (head, body)) = tokio::join!(send(target, reply), head_and_body(&mut user));
            assert_eq!((status(&head), values(&head, "etag")), (201, vec!["\"e\""]), "{what}");
            assert!(body == target::pattern(SIZE), "{what}: {} bytes came down", body.len());
        }
    }
    scene.no_more_connections();
}

/// Each piece goes through before the next one of either direction is sent.
async fn both_bodies_stream_at_once(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("POST", "/", "Transfer-Encoding: chunked\r\n")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    for round in 0..5 {
        send(&mut user, "4\r\nup_1\r\n").await;
        assert_eq!(piece(&mut target).await, b"up_1");
        if round == 0 {
            send(&mut target, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            assert_eq!(status(&read_head(&mut user).await.unwrap()), 200);
        }
        send(&mut target, "6\r\ndown_1\r\n").await;
        assert_eq!(piece(&mut user).await, b"down_1");
    }
    send(&mut user, "0\r\n\r\n").await;
    assert_eq!(chunked(&mut target).await, (vec![], String::new()));
    send(&mut target, "0\r\n\r\n").await;
    assert_eq!(chunked(&mut user).await, (vec![], String::new()));
    scene.goes_on(&mut user, &mut target).await;
}

/// Server-sent events: pauses longer than any limit on the way, and no limit of time altogether.
async fn events_arrive_as_they_happen(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/events", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    send(&mut target, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await;
    let head = read_head(&mut user).await.unwrap();
    assert_eq!(values(&head, "content-type"), ["text/event-stream"]);
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        let sent = Instant::now();
        send(&mut target, &event).await;
        assert_eq!(piece(&mut user).await, event.as_bytes());
        // Three links of 10 ms each.
        assert!(sent.elapsed() <= Duration::from_millis(40), "{:?}", sent.elapsed());
        tokio::time::sleep(Duration::from_secs(400)).await;
    }
    drop(user);
    let left = Instant::now();
    assert_eq!(read_all(&mut target).await.0, b"");
    assert!(left.elapsed() <= Duration::from_secs(1), "{:?}", left.elapsed());
}

/// Before there is any answer, with the upload complete or not.
async fn a_user_who_leaves_ends_the_request(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for body in ["abc", "abcdefghij"] {
        let mut user = scene.user().await;
        send(&mut user, scene.request("POST", "/", "Content-Length: 10\r\n") + body).await;
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        expect(&mut target, body).await;
        drop(user);
        let left = Instant::now();
        assert_eq!(read_all(&mut target).await.0, b"");
        assert!(left.elapsed() <= Duration::from_secs(1), "{:?}", left.elapsed());
    }
}

async fn trailers_pass_both_ways(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let fields = "TE: trailers\r\nTrailer: X-Up\r\nTransfer-Encoding: chunked\r\n";
    send(&mut user, scene.request("PUT", "/", fields) + "2\r\nup\r\n0\r\nX-Up: 8\r\n\r\n").await;
    let mut target = scene.accept().await;
    let head = read_head(&mut target).await.unwrap();
    assert_eq!((values(&head, "te"), values(&head, "trailer")), (vec!["trailers"], vec!["X-Up"]));
    let (body, trailers) = body_of(&head, &mut target).await;
    assert_eq!((&body[..], &*trailers.to_lowercase()), (&b"up"[..], "x-up: 8\n"));
    send(
        &mut target,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         4\r\ndown\r\n0\r\nX-Sum: 7\r\n\r\n",
    )
    .await;
    let head = read_head(&mut user).await.unwrap();
    let (body, trailers) = body_of(&head, &mut user).await;
    assert_eq!((&body[..], &*trailers.to_lowercase()), (&b"down"[..], "x-sum: 7\n"));
    scene.goes_on(&mut user, &mut target).await;
}

/// RFC 9110 section 6.5.1: an intermediary may drop them, but the message stays whole.
async fn trailers_that_nobody_asked_for_end_the_body_all_the_same(
    site: Site,
    transport: Transport,
) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let up = scene.request("PUT", "/", "Transfer-Encoding: chunked\r\n");
    send(&mut user, up + "2\r\nup\r\n0\r\nX-Up: 8\r\n\r\n").await;
    let mut target = scene.accept().await;
    let head = read_head(&mut target).await.unwrap();
    assert_eq!(body_of(&head, &mut target).await.0, b"up");
    for announced in ["Trailer: X-Sum\r\n", ""] {
        send(
            &mut target,
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{announced}\r\n\
                 4\r\ndown\r\n0\r\nX-Sum: 7\r\n\r\n"
            ),
        )
        .await;
        let head = read_head(&mut user).await.unwrap();
        assert_eq!(body_of(&head, &mut user).await.0, b"down");
        scene.get_over(&mut user, &mut target).await;
    }
    answer(&mut user, &mut target, "ok").await;
}

async fn an_answer_may_come_before_the_upload_is_complete(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("POST", "/", "Content-Length: 10\r\n") + "abc").await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut user, &mut target, "early").await;
    expect(&mut target, "abc").await;
    send(&mut user, "defghij").await;
    expect(&mut target, "defghij").await;
    scene.goes_on(&mut user, &mut target).await;
}

/// Also when the target is so old that it knows nothing else; HTTP/1.0 users get it the same way.
async fn an_answer_that_ends_with_the_connection_is_whole(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let body = target::pattern(SIZE);
    for version in ["1.1", "1.0"] {
        send(&mut user, scene.request("GET", "/", "")).await;
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        let head = format!("HTTP/{version} 200 OK\r\n\r\n");
        let reply = async {
            send(&mut target, [head.as_bytes(), &body].concat()).await;
            target.shutdown().await.unwrap();
        };
        let ((), (head, got)) = tokio::join!(reply, head_and_body(&mut user));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(got == body, "{version}: {} bytes", got.len());
    }
    send(&mut user, scene.request("GET", "/", "").replace("HTTP/1.1", "HTTP/1.0")).await;
    let mut target = scene.accept().await;
    assert!(read_head(&mut target).await.unwrap().starts_with("GET / HTTP/1.1\r\n"));
    let reply = async {
        send(&mut target, [b"HTTP/1.1 200 OK\r\n\r\n", &body[..]].concat()).await;
        target.shutdown().await.unwrap();
    };
    let old = async {
        let head = read_head(&mut user).await.unwrap();
        assert!(values(&head, "transfer-encoding").is_empty(), "{head}");
        read_all(&mut user).await
    };
    let ((), (got, end)) = tokio::join!(reply, old);
    assert_eq!(end, Ok(()));
    assert!(got == body, "{} bytes", got.len());
}

async fn answers_without_a_body_end_at_their_head(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let mut target = None;
    for (method, reply) in [
        ("HEAD", "200 OK\r\nContent-Length: 1000\r\n"),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n"),
        ("HEAD", "200 OK\r\nContent-Length: 10\r\nContent-Length: 10\r\n"),
        ("GET", "304 Not Modified\r\nContent-Length: 1000\r\nETag: x\r\n"),
        ("GET", "204 No Content\r\n"),
        ("GET", "200 OK\r\nContent-Length: 0\r\n"),
    ] {
        send(&mut user, scene.request(method, "/", "")).await;
        if target.is_none() {
            target = Some(scene.accept().await);
        }
        let target = target.as_mut().unwrap();
        read_head(target).await.unwrap();
        send(target, format!("HTTP/1.1 {reply}\r\n")).await;
        let head = read_head(&mut user).await.unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {}", &reply[..3])), "{head}");
        scene.goes_on(&mut user, target).await;
    }
}
