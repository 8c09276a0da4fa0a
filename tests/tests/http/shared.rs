//! Target connections that are kept from one connection of a user to the next.

use std::time::Duration;

use anyproxy_gateway::{Credential, UserConfig};
use anyproxy_tests::{
    lab::{GROUP, SECRET, Site},
    user::{base64, read_all, read_head},
};
use anyproxy_transport::{Transport, net::Conn};
use anyproxy_wire::handshake::{Secret, Verifier};
use tokio::time::Instant;

use crate::{Scene, answer, expect, request_to, send, status};

everywhere! {
    a_user_gets_its_target_connection_again_on_another_connection
    two_users_share_no_target_connection
    a_connection_that_is_logged_in_stays_with_its_user_connection
    a_request_that_cannot_be_repeated_takes_no_other_connections_leftover
    a_target_connection_in_use_is_not_shared
    kept_connections_give_way_to_new_ones
}

simulated! {
    a_kept_connection_ends_after_15_seconds
}

async fn a_user_gets_its_target_connection_again_on_another_connection(
    site: Site,
    transport: Transport,
) {
    let mut scene = Scene::start(site, transport).await;
    let mut first = scene.user().await;
    send(&mut first, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut first, &mut target, "ok").await;
    let mut second = scene.user().await;
    scene.goes_on(&mut second, &mut target).await;
    // Whoever used it last may leave.
    second_leaves(second).await;
    scene.goes_on(&mut first, &mut target).await;
    second_leaves(first).await;
    let mut third = scene.user().await;
    scene.goes_on(&mut third, &mut target).await;
}

/// Returns when the gateway has closed as well.
async fn second_leaves(mut user: Conn) {
    tokio::io::AsyncWriteExt::shutdown(&mut user).await.unwrap();
    assert_eq!(read_all(&mut user).await.0, b"");
}

/// The user of the lab, and another one of the same group with another password.
async fn with_bob(site: Site, transport: Transport) -> Scene {
    let password = Credential::Verifier(Verifier::from_secret(&Secret::new("bob's")));
    Scene::configured(site, transport, |config| {
        config.groups[0].users.push(UserConfig { name: "bob".into(), password });
    })
    .await
}

fn as_bob(request: &str) -> String {
    let login = base64(format!("{GROUP}:{SECRET}").as_bytes());
    request.replace(&login, &base64(b"bob:bob's"))
}

async fn two_users_share_no_target_connection(site: Site, transport: Transport) {
    let mut scene = with_bob(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut user, &mut target, "ok").await;
    // Neither on a connection of its own, nor on the other one's.
    let mut bob = scene.user().await;
    send(&mut bob, as_bob(&scene.request("GET", "/", ""))).await;
    let mut for_bob = scene.accept().await;
    read_head(&mut for_bob).await.unwrap();
    answer(&mut bob, &mut for_bob, "bob's").await;
    send(&mut user, as_bob(&scene.request("GET", "/", ""))).await;
    read_head(&mut for_bob).await.unwrap();
    answer(&mut user, &mut for_bob, "bob's again").await;
    scene.goes_on(&mut bob, &mut target).await;
    scene.goes_on(&mut user, &mut target).await;
}

/// NTLM, and Negotiate: whatever comes next on the connection is taken for the same person.
async fn a_connection_that_is_logged_in_stays_with_its_user_connection(
    site: Site,
    transport: Transport,
) {
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    for (asked, answered) in [
        ("Authorization: NTLM TlRMTVNTUAAB\r\n", ok),
        ("Authorization: negotiate YII\r\n", ok),
        ("", "HTTP/1.1 401 No\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n"),
        (
            "",
            "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\", Negotiate\r\n\
             Content-Length: 0\r\n",
        ),
    ] {
        let mut scene = Scene::start(site.clone(), transport).await;
        let mut user = scene.user().await;
        send(&mut user, scene.request("GET", "/", asked)).await;
        let mut target = scene.accept().await;
        read_head(&mut target).await.unwrap();
        send(&mut target, format!("{answered}\r\n")).await;
        read_head(&mut user).await.unwrap();
        // The next request is as clean as can be, and the connection is none the less.
        scene.goes_on(&mut user, &mut target).await;
        let mut other = scene.user().await;
        send(&mut other, scene.request("GET", "/", "")).await;
        let mut fresh = scene.accept().await;
        read_head(&mut fresh).await.unwrap();
        answer(&mut other, &mut fresh, "ok").await;
        scene.goes_on(&mut user, &mut target).await;
        drop(user);
        assert_eq!(read_all(&mut target).await.0, b"", "{asked}{answered}");
        scene.goes_on(&mut other, &mut fresh).await;
    }
}

async fn a_request_that_cannot_be_repeated_takes_no_other_connections_leftover(
    site: Site,
    transport: Transport,
) {
    let mut scene = Scene::start(site, transport).await;
    let mut first = scene.user().await;
    send(&mut first, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut first, &mut target, "ok").await;
    let mut second = scene.user().await;
    send(&mut second, scene.request("POST", "/", "Content-Length: 2\r\n") + "up").await;
    let mut fresh = scene.accept().await;
    read_head(&mut fresh).await.unwrap();
    expect(&mut fresh, "up").await;
    answer(&mut second, &mut fresh, "ok").await;
    scene.goes_on(&mut first, &mut target).await;
    scene.goes_on(&mut second, &mut fresh).await;
}

/// Also when its answer is complete and only the upload is not.
async fn a_target_connection_in_use_is_not_shared(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut first = scene.user().await;
    send(&mut first, scene.request("POST", "/", "Content-Length: 4\r\n") + "ab").await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    expect(&mut target, "ab").await;
    for early in [false, true] {
        if early {
            answer(&mut first, &mut target, "early").await;
        }
        let mut second = scene.user().await;
        send(&mut second, scene.request("GET", "/", "Cache-Control: no-store\r\n")).await;
        let mut fresh = scene.accept().await;
        read_head(&mut fresh).await.unwrap();
        // It closes, so that it is not there to be shared.
        let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        send(&mut fresh, close).await;
        assert_eq!(status(&read_head(&mut second).await.unwrap()), 200);
    }
    send(&mut first, "cd").await;
    expect(&mut target, "cd").await;
    scene.goes_on(&mut first, &mut target).await;
}

/// A session has room for one connection here, and that one is only kept.
async fn kept_connections_give_way_to_new_ones(site: Site, transport: Transport) {
    let (other, mut others) = crate::accepting(&site);
    let mut scene =
        Scene::configured(site, transport, |config| config.limits.max_streams = 1).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut user, &mut target, "ok").await;
    // A server closes when it is closed.
    let closing = async {
        assert_eq!(read_all(&mut target).await.0, b"");
        drop(target);
    };
    let elsewhere = async {
        send(&mut user, request_to(other, "GET", "/elsewhere", "")).await;
        others.recv().await.unwrap()
    };
    let ((), mut elsewhere) = tokio::join!(closing, elsewhere);
    read_head(&mut elsewhere).await.unwrap();
    answer(&mut user, &mut elsewhere, "another target's").await;
}

async fn a_kept_connection_ends_after_15_seconds(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    let mut user = scene.user().await;
    send(&mut user, scene.request("GET", "/", "")).await;
    let mut target = scene.accept().await;
    read_head(&mut target).await.unwrap();
    answer(&mut user, &mut target, "ok").await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        scene.goes_on(&mut user, &mut target).await;
    }
    let began = Instant::now();
    assert_eq!(read_all(&mut target).await.0, b"");
    let kept = began.elapsed();
    assert!((14..=16).contains(&kept.as_secs()), "{kept:?}");
    assert!(scene.lab.gateway.users() > 0, "the user's connection lives on");
}
