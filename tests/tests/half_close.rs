//! One direction of a connection ends, the other goes on (Conformance case 5, 13).

#![allow(clippy::unwrap_used, reason = "a failure here is the test's")]

use std::time::Duration;

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
    user::{WAYS, read_all},
};
use anyproxy_transport::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SIZES: [usize; 4] = [0, 1, 70_000, 3 * 1024 * 1024];

async fn a_user_who_ends_first_gets_the_whole_reply(site: Site, transport: Transport) {
    let target = target::answer_at_end(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    for way in WAYS {
        for size in SIZES {
            let expected = target::pattern(size);
            let mut user = lab.connect(way, target).await;
            user.write_all(&expected).await.unwrap();
            user.shutdown().await.unwrap();
            let (got, end) = read_all(&mut user).await;
            assert_eq!((got.len(), end), (size, Ok(())), "{way:?}");
            assert!(got == expected, "{way:?} {size}");
        }
    }
}

#[tokio::test]
async fn a_user_who_ends_first_gets_the_whole_reply_over_quic() {
    a_user_who_ends_first_gets_the_whole_reply(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn a_user_who_ends_first_gets_the_whole_reply_over_websocket() {
    a_user_who_ends_first_gets_the_whole_reply(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_ends_first_gets_the_whole_reply_over_quic_simulated() {
    a_user_who_ends_first_gets_the_whole_reply(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_ends_first_gets_the_whole_reply_over_websocket_simulated() {
    a_user_who_ends_first_gets_the_whole_reply(Site::simulated().0, Transport::WebSocket).await;
}

async fn a_target_that_ends_first_gets_the_whole_upload(site: Site, transport: Transport) {
    for size in SIZES {
        let (target, mut seen) = target::ends_first(&site, size);
        let lab = Lab::start(site.clone(), &Options::new(transport).forwards(&[target])).await;
        let expected = target::pattern(size);
        for way in WAYS {
            let mut user = lab.connect(way, target).await;
            let (got, end) = read_all(&mut user).await;
            assert!((&got, end) == (&expected, Ok(())), "{way:?} {size}: {} {end:?}", got.len());
            user.write_all(&expected).await.unwrap();
            user.shutdown().await.unwrap();
            let (got, end) = seen.recv().await.unwrap();
            assert!((&got, end) == (&expected, Ok(())), "{way:?} {size}: {} {end:?}", got.len());
        }
    }
}

#[tokio::test]
async fn a_target_that_ends_first_gets_the_whole_upload_over_quic() {
    a_target_that_ends_first_gets_the_whole_upload(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn a_target_that_ends_first_gets_the_whole_upload_over_websocket() {
    a_target_that_ends_first_gets_the_whole_upload(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_ends_first_gets_the_whole_upload_over_quic_simulated() {
    a_target_that_ends_first_gets_the_whole_upload(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_ends_first_gets_the_whole_upload_over_websocket_simulated() {
    a_target_that_ends_first_gets_the_whole_upload(Site::simulated().0, Transport::WebSocket).await;
}

/// Conformance case 13: what comes in one piece with the end, and with everything before it, is not dropped.
async fn bytes_that_come_together_with_the_end_arrive(site: Site, transport: Transport) {
    let target = target::answer_at_end(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    for way in WAYS {
        for size in [1, 1_000, 300_000] {
            let expected = target::pattern(size);
            let (mut user, ahead) = lab.doors().hasty(way, target).await.unwrap();
            user.write_all(&[ahead, expected.clone()].concat()).await.unwrap();
            user.shutdown().await.unwrap();
            lab.doors().catch_up(way, &mut user).await.unwrap();
            let (got, end) = read_all(&mut user).await;
            assert!((&got, end) == (&expected, Ok(())), "{way:?} {size}: {} {end:?}", got.len());
        }
    }
}

#[tokio::test]
async fn bytes_that_come_together_with_the_end_arrive_over_quic() {
    bytes_that_come_together_with_the_end_arrive(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn bytes_that_come_together_with_the_end_arrive_over_websocket() {
    bytes_that_come_together_with_the_end_arrive(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_come_together_with_the_end_arrive_over_quic_simulated() {
    bytes_that_come_together_with_the_end_arrive(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_come_together_with_the_end_arrive_over_websocket_simulated() {
    bytes_that_come_together_with_the_end_arrive(Site::simulated().0, Transport::WebSocket).await;
}

/// A user who ended first, and then a target that goes on for a while.
#[tokio::test(start_paused = true)]
async fn the_other_direction_stays_open_for_as_long_as_it_likes() {
    for transport in [Transport::Quic, Transport::WebSocket] {
        let (site, _world) = Site::simulated();
        let target = target::serve(&site, |mut conn| async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(60)).await;
                let _ = conn.write_all(b"tick").await;
            }
        });
        let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
        for way in WAYS {
            let mut user = lab.connect(way, target).await;
            user.shutdown().await.unwrap();
            let mut got = Vec::new();
            user.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, b"tick".repeat(10), "{way:?} {transport}");
        }
    }
}

/// A user who goes on sending to a target that has gone: the whole reply and its clean end come first,
/// and the user is not reset over them.
async fn a_user_who_sends_on_still_gets_the_clean_end(transport: Transport) {
    const SIZE: usize = 1 << 20;
    let (site, _world) = Site::simulated();
    let target = target::serve(&site, |mut conn| async move {
        let _ = conn.write_all(&target::pattern(SIZE)).await;
        let _ = conn.shutdown().await;
    });
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    for way in WAYS {
        let mut user = lab.connect(way, target).await;
        let mut got = vec![0; SIZE - 1000];
        user.read_exact(&mut got).await.unwrap();
        // The rest is on its way, or here; the target's end as well.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..20 {
            user.write_all(&[7; 1000]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut rest = Vec::new();
        user.read_to_end(&mut rest).await.unwrap();
        got.extend(rest);
        assert!(got == target::pattern(SIZE), "{way:?}: {} bytes", got.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_sends_on_still_gets_the_clean_end_over_quic() {
    a_user_who_sends_on_still_gets_the_clean_end(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_sends_on_still_gets_the_clean_end_over_websocket() {
    a_user_who_sends_on_still_gets_the_clean_end(Transport::WebSocket).await;
}
