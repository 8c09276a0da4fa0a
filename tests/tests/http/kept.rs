//! Many requests over one connection.

use anyproxy_tests::{
    lab::Site,
    user::{read_all, read_head},
};
use anyproxy_transport::Transport;
use tokio::io::AsyncWriteExt as _;

use crate::{Scene, accepting, answer, expect, request_to, send, status, take, values};

everywhere! {
    one_user_connection_uses_one_target_connection_again
    a_target_that_closes_is_connected_to_again
    a_kept_connection_that_dies_costs_no_request_that_can_be_repeated
    pipelined_requests_are_answered_in_order
    a_user_who_asks_for_a_close_gets_it_behind_the_answer
}

async fn one_user_connection_uses_one_target_connection_again(site: Site, transport: Transport) {
    let (other, mut others) = accepting(&site);
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "Proxy-Connection: keep-alive\r\n")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut user, &mut target, "first").await;
    scene.goes_on(&mut user, &mut target).await;
    send(&mut user, request_to(other, "GET", "/elsewhere", "")).await;
    let mut elsewhere = others.recv().await.unwrap();
    assert!(read_head(&mut elsewhere).await.unwrap().starts_with("GET /elsewhere "));
    answer(&mut user, &mut elsewhere, "another target's").await;
    scene.goes_on(&mut user, &mut target).await;
}

/// The user's connection is none of the target's business.
async fn a_target_that_closes_is_connected_to_again(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    for _ in 0..3 {
        send(&mut user, scene.request("GET", "/", "")).await;
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        let reply = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        send(&mut target, reply).await;
        target.shutdown().await.unwrap();
        let head = read_head(&mut user).await.unwrap();
        assert!(values(&head, "connection").is_empty(), "{head}");
        expect(&mut user, "ok").await;
    }
}

/// RFC 9110 section 9.2.2: a GET may be repeated, a POST may have been acted upon.
async fn a_kept_connection_that_dies_costs_no_request_that_can_be_repeated(
    site: Site,
    transport: Transport,
) {
    let mut scene = Scene::start(site, transport).await;
    for (method, fields) in [("GET", ""), ("POST", "Content-Length: 0\r\n")] {
        let mut user = scene.user().await;
        send(&mut user, scene.request("GET", "/", "")).await;
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        answer(&mut user, &mut target, "ok").await;
        send(&mut user, scene.request(method, "/again", fields)).await;
        read_head(&mut target).await.unwrap();
        drop(target);
        if method == "GET" {
            let mut target = scene.accept().await;
            assert!(read_head(&mut target).await.unwrap().starts_with("GET /again "));
            answer(&mut user, &mut target, "ok").await;
            continue;
        }
        let head = read_head(&mut user).await.unwrap();
        assert_eq!(status(&head), 502, "{head}");
        let told = values(&head, "proxy-status")[0];
        assert!(told.contains("error=connection_terminated"), "{head}");
        scene.no_more_connections();
    }
}

/// Also when the last one turns the connection into a tunnel.
async fn pipelined_requests_are_answered_in_order(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    let requests = [
        scene.request("GET", "/1", ""),
        scene.request("POST", "/2", "Content-Length: 4\r\n") + "body",
        scene.request("GET", "/3", ""),
        scene.request("CONNECT", "", "").replacen("http://", "", 1) + "early",
    ];
    send(&mut user, requests.concat()).await;
    let mut target = scene.accept().await;
    for (line, body) in [("GET /1 ", ""), ("POST /2 ", "body"), ("GET /3 ", "")] {
        let head = read_head(&mut target).await.unwrap();
        assert!(head.starts_with(line), "{head}");
        expect(&mut target, body).await;
        send(&mut target, format!("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{line:8}")).await;
    }
    let mut tunnel = scene.accept().await;
    expect(&mut tunnel, "early").await;
    send(&mut tunnel, "raw").await;
    for line in ["GET /1  ", "POST /2 ", "GET /3  "] {
        assert_eq!(take(&mut user).await, (200, line.into()));
    }
    assert_eq!(status(&read_head(&mut user).await.unwrap()), 200);
    expect(&mut user, "raw").await;
    scene.no_more_connections();
}

async fn a_user_who_asks_for_a_close_gets_it_behind_the_answer(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "Connection: close\r\n")).await;
    let mut target = scene.accept().await;
    assert!(values(&read_head(&mut target).await.unwrap(), "connection").is_empty());
    answer(&mut user, &mut target, "last").await;
    assert_eq!(read_all(&mut user).await, (vec![], Ok(())));
}
