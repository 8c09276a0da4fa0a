//! What cannot be passed on truly is refused, and every refusal of ours says why.

use anyproxy_tests::{
    lab::Site,
    user::{read_all, read_head},
};
use anyproxy_transport::Transport;

use crate::{Scene, body_of, send, status, values};

everywhere! {
    a_request_in_another_coding_is_refused
    a_response_in_another_coding_is_refused
    a_connect_with_a_body_is_refused
    options_of_a_server_is_asked_of_the_server
    a_refused_log_in_says_who_refused_it
}

/// Takes one of our own answers, and closes.
async fn refusal(scene: &Scene, request: String) -> (u16, String, String) {
    let mut user = scene.user().await;
    send(&mut user, request).await;
    let head = read_head(&mut user).await.unwrap();
    let (body, _) = body_of(&head, &mut user).await;
    let told = values(&head, "proxy-status").concat();
    (status(&head), told, String::from_utf8(body).unwrap())
}

/// RFC 9112 section 6.1. Passed on without its coding, the body would be another one.
async fn a_request_in_another_coding_is_refused(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for coding in ["gzip, chunked", "gzip\r\nTransfer-Encoding: chunked"] {
        let fields = format!("Transfer-Encoding: {coding}\r\n");
        let request = scene.request("POST", "/", &fields) + "5\r\nhello\r\n0\r\n\r\n";
        let (status, told, text) = refusal(&scene, request).await;
        assert_eq!(status, 501, "{text}");
        assert!(told.contains("details="), "{told}");
        assert!(text.contains("coding"), "{text}");
    }
    scene.no_more_connections();
}

async fn a_response_in_another_coding_is_refused(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for body in ["gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "gzip\r\n\r\nhello"] {
        let mut user = scene.user().await;
        send(&mut user, scene.request("GET", "/", "")).await;
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        send(&mut target, format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {body}")).await;
        let head = read_head(&mut user).await.unwrap();
        assert_eq!(status(&head), 502, "{head}");
        let told = values(&head, "proxy-status").concat();
        assert!(told.contains("error=http_response_transfer_coding"), "{head}");
        assert_eq!(read_all(&mut target).await.0, b"", "it is not used again");
    }
}

/// It would end before the bytes of the tunnel begin, and who knows where.
async fn a_connect_with_a_body_is_refused(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for (fields, body) in [
        ("Content-Length: 5\r\n", "helloWORLD"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\nWORLD"),
    ] {
        let request = scene.request("CONNECT", "", fields).replacen("http://", "", 1) + body;
        let (status, told, text) = refusal(&scene, request).await;
        assert_eq!(status, 400, "{text}");
        assert!(told.contains("error=http_request_error"), "{told}");
    }
    scene.no_more_connections();
}

/// RFC 9112 section 3.2.4.
async fn options_of_a_server_is_asked_of_the_server(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let mut target = None;
    for (path, expected) in [("", "*"), ("/", "/")] {
        send(&mut user, scene.request("OPTIONS", path, "")).await;
        if target.is_none() {
            target = Some(scene.accept().await);
        }
        let target = target.as_mut().unwrap();
        let head = read_head(target).await.unwrap();
        assert!(head.starts_with(&format!("OPTIONS {expected} HTTP/1.1\r\n")), "{head}");
        send(target, "HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(status(&read_head(&mut user).await.unwrap()), 204);
    }
}

async fn a_refused_log_in_says_who_refused_it(site: Site, transport: Transport) {
    let scene = Scene::start(site, transport).await;
    let request = scene.request("GET", "/", "").replace("Proxy-Authorization", "X");
    let (status, told, text) = refusal(&scene, request).await;
    assert_eq!(status, 407);
    assert!(told.contains("error=http_request_denied"), "{told}");
    assert!(text.contains("log in"), "{text}");
}
