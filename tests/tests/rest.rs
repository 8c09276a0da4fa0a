//! A rest costs nothing: neither the reader's, nor an idle connection's (Conformance case 2, 7, 8).

#![allow(clippy::unwrap_used, reason = "a failure here is the test's")]

use std::time::Duration;

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target::{self, FRAMINGS},
    user::{As, Body, WAYS, read_all, read_body},
};
use anyproxy_transport::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MINUTE: Duration = Duration::from_secs(60);

/// More than all windows on the way hold at first, so that the target waits as well.
const SIZE: usize = 3 * 1024 * 1024;

async fn a_reader_who_rests_gets_every_byte(transport: Transport, rest: Duration) {
    let (site, _world) = Site::simulated();
    let target = target::burst(&site, SIZE);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let expected = target::pattern(SIZE);
    for way in WAYS {
        let mut user = lab.connect(way, target).await;
        let mut first = vec![0; SIZE / 3];
        user.read_exact(&mut first).await.unwrap();
        tokio::time::sleep(rest).await;
        let (got, end) = read_all(&mut user).await;
        assert_eq!((first.len() + got.len(), end), (SIZE, Ok(())), "{way:?}");
        assert!([first, got].concat() == expected, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_rests_for_a_minute_gets_every_byte_over_quic() {
    a_reader_who_rests_gets_every_byte(Transport::Quic, MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_rests_for_a_minute_gets_every_byte_over_websocket() {
    a_reader_who_rests_gets_every_byte(Transport::WebSocket, MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_rests_for_31_minutes_gets_every_byte_over_quic() {
    a_reader_who_rests_gets_every_byte(Transport::Quic, 31 * MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_rests_for_31_minutes_gets_every_byte_over_websocket() {
    a_reader_who_rests_gets_every_byte(Transport::WebSocket, 31 * MINUTE).await;
}

async fn a_plain_download_that_rests_is_complete(transport: Transport) {
    let (site, _world) = Site::simulated();
    let lab = Lab::start(site, &Options::new(transport)).await;
    let expected = target::pattern(SIZE);
    for framing in FRAMINGS {
        let target = target::http(&lab.site, framing, SIZE).to_string();
        let (head, mut user) = lab.doors().http_get(&target, &As::default()).await.unwrap();
        tokio::time::sleep(31 * MINUTE).await;
        let body = read_body(&head, &mut user).await;
        assert!(body == Body::Whole(expected.clone()), "{framing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_download_that_rests_is_complete_over_quic() {
    a_plain_download_that_rests_is_complete(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_plain_download_that_rests_is_complete_over_websocket() {
    a_plain_download_that_rests_is_complete(Transport::WebSocket).await;
}

/// The other way: a target that takes its time to read.
async fn an_upload_to_a_target_that_rests_is_complete(transport: Transport) {
    let (site, _world) = Site::simulated();
    let target = target::serve(&site, |mut conn| async move {
        tokio::time::sleep(31 * MINUTE).await;
        let (got, end) = read_all(&mut conn).await;
        if end.is_ok() {
            let _ = conn.write_all(&got).await;
        }
    });
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let expected = target::pattern(SIZE);
    for way in WAYS {
        let mut user = lab.connect(way, target).await;
        user.write_all(&expected).await.unwrap();
        user.shutdown().await.unwrap();
        let (got, end) = read_all(&mut user).await;
        assert!((&got, end) == (&expected, Ok(())), "{way:?}: {} {end:?}", got.len());
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_to_a_target_that_rests_is_complete_over_quic() {
    an_upload_to_a_target_that_rests_is_complete(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_to_a_target_that_rests_is_complete_over_websocket() {
    an_upload_to_a_target_that_rests_is_complete(Transport::WebSocket).await;
}

async fn an_idle_connection_still_echoes(transport: Transport) {
    let (site, _world) = Site::simulated();
    let target = target::echo(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    for idle in [10 * MINUTE, 31 * MINUTE] {
        for way in WAYS {
            let mut user = lab.connect(way, target).await;
            for text in [b"one", b"two"] {
                user.write_all(text).await.unwrap();
                let mut got = [0; 3];
                user.read_exact(&mut got).await.unwrap();
                assert_eq!(&got, text, "{way:?}");
                tokio::time::sleep(idle).await;
            }
            user.shutdown().await.unwrap();
            assert_eq!(read_all(&mut user).await, (vec![], Ok(())), "{way:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_still_echoes_over_quic() {
    an_idle_connection_still_echoes(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_still_echoes_over_websocket() {
    an_idle_connection_still_echoes(Transport::WebSocket).await;
}
