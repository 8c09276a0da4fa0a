//! UDP flows over both transports, tunnel to tunnel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is the test's"
)]

use std::time::Duration;

use anyproxy_runtime::Deadline;
use anyproxy_tests::{
    net::LinkSettings,
    tunnels::{Tunnels, opening},
};
use anyproxy_transport::{Flow, OpenError, Sent, Stream, StreamError, Transport};
use anyproxy_wire::{
    codes::{CloseCode, OpenCode, StreamCode},
    message::Protocol,
};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

const BOTH: [Transport; 2] = [Transport::Quic, Transport::WebSocket];

const LARGEST: usize = 65_507;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn tunnels(transport: Transport) -> Tunnels {
    Tunnels::start(transport, LinkSettings::with_delay(ms(10))).await
}

/// A payload that no other size or number has.
fn payload(size: usize, number: usize) -> Vec<u8> {
    (0..size).map(|at| (at / 256 + at + number) as u8).collect()
}

/// Waits for a datagram at `to` while `from` moves what it has queued.
async fn next(from: &mut Flow, to: &mut Flow) -> Bytes {
    tokio::select! {
        got = to.recv() => got.unwrap().expect("the flow ended"),
        other = from.recv() => panic!("the sender received {other:?}"),
    }
}

/// What arrives until nothing more does.
async fn rest(from: &mut Flow, to: &mut Flow) -> Vec<Bytes> {
    let mut all = Vec::new();
    while let Ok(got) = Deadline::after(ms(1000)).bound(next(from, to)).await {
        all.push(got);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn datagrams_of_every_size_cross_both_ways_and_none_is_split() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.flow().await;
        let sizes = [0, 1, 512, 1100, 1162, 1180, 1472, 9000, 32_767, 32_769, LARGEST, 0, LARGEST];
        for (number, size) in sizes.into_iter().enumerate() {
            let sent = payload(size, number);
            assert_eq!(opened.send(&sent), Sent::Queued);
            assert_eq!(next(&mut opened, &mut accepted).await, sent, "{transport} {size}");
            assert_eq!(accepted.send(&sent), Sent::Queued);
            assert_eq!(next(&mut accepted, &mut opened).await, sent, "{transport} {size}");
        }
        assert_eq!((opened.dropped(), accepted.dropped()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn many_answers_to_one_datagram_and_small_between_large_all_arrive() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.flow().await;
        assert_eq!(opened.send(b"?"), Sent::Queued);
        assert_eq!(next(&mut opened, &mut accepted).await, "?");
        let answers = [3000, 10, LARGEST, 20, 0, 5000].map(|size| payload(size, 1));
        for answer in &answers {
            assert_eq!(accepted.send(answer), Sent::Queued);
        }
        let mut got = rest(&mut accepted, &mut opened).await;
        let mut expected = answers.to_vec();
        got.sort();
        expected.sort();
        assert_eq!(got, expected, "{transport}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_for_udp_is_dropped_and_counted() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, _accepted) = tunnels.flow().await;
        assert_eq!(opened.send(&[0; LARGEST + 1]), Sent::Dropped);
        assert_eq!(opened.dropped(), 1);
        assert_eq!(tunnels.gateway.stats().dropped_datagrams, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn eight_datagrams_wait_for_an_acceptor_that_is_still_dialling() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.open(Protocol::Udp).await;
        opened.expect_reply(Deadline::never());
        let mut opened = Flow::new(opened);
        for number in 0..11 {
            assert_eq!(opened.send(&[number]), Sent::Queued);
        }
        tokio::time::sleep(ms(100)).await;
        assert_eq!(tunnels.client.stats().dropped_datagrams, 3, "{transport}");
        accepted.answer(OpenCode::Connected, "", None).await.unwrap();
        let mut accepted = Flow::new(accepted);
        let got = rest(&mut opened, &mut accepted).await;
        assert_eq!(got, (0..8).map(|number| vec![number]).collect::<Vec<_>>(), "{transport}");
        assert_eq!(opened.send(b"later"), Sent::Queued);
        assert_eq!(next(&mut opened, &mut accepted).await, "later");
    }
}

#[tokio::test(start_paused = true)]
async fn datagrams_that_waited_too_long_for_their_flow_are_dropped() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.open(Protocol::Udp).await;
        opened.expect_reply(Deadline::never());
        let mut opened = Flow::new(opened);
        assert_eq!(opened.send(b"old"), Sent::Queued);
        tokio::time::sleep(ms(4000)).await;
        assert_eq!(opened.send(b"new"), Sent::Queued);
        tokio::time::sleep(ms(2000)).await;
        accepted.answer(OpenCode::Connected, "", None).await.unwrap();
        let mut accepted = Flow::new(accepted);
        assert_eq!(rest(&mut opened, &mut accepted).await, ["new"], "{transport}");
        assert_eq!(tunnels.client.stats().dropped_datagrams, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clean_end_comes_after_what_was_sent_and_is_told_as_such() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.flow().await;
        assert_eq!(opened.send(b"small"), Sent::Queued);
        assert_eq!(next(&mut opened, &mut accepted).await, "small");
        assert_eq!(opened.send(&payload(LARGEST, 0)), Sent::Queued);
        assert_eq!(opened.send(&payload(LARGEST, 1)), Sent::Queued);
        opened.end();
        assert_eq!(accepted.recv().await.unwrap().unwrap(), payload(LARGEST, 0), "{transport}");
        assert_eq!(accepted.recv().await.unwrap().unwrap(), payload(LARGEST, 1));
        assert_eq!(accepted.recv().await, Ok(None));
        assert_eq!(accepted.recv().await, Ok(None), "and stays so");
        assert_eq!(accepted.send(b"to nobody"), Sent::Dropped);
        drop(accepted);
        tokio::time::sleep(ms(1000)).await;
        assert_eq!((tunnels.gateway.streams(), tunnels.client.streams()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_flow_resets_the_other_end() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.flow().await;
        assert_eq!(opened.send(b"small"), Sent::Queued);
        tokio::select! {
            _ = opened.recv() => unreachable!(),
            () = tokio::time::sleep(ms(100)) => {}
        }
        drop(opened);
        tokio::time::sleep(ms(100)).await;
        assert_eq!(accepted.recv().await.unwrap().unwrap(), "small", "what came before is given");
        let reset = Err(StreamError::Reset(StreamCode::Cancelled));
        assert_eq!(accepted.recv().await, reset, "{transport}");
        assert_eq!(accepted.recv().await, reset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_open_and_a_lost_tunnel_are_told_to_the_reader() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.open(Protocol::Udp).await;
        opened.expect_reply(Deadline::never());
        let mut opened = Flow::new(opened);
        accepted.answer(OpenCode::Denied, "no", None).await.unwrap();
        let Err(StreamError::Refused { code: OpenCode::Denied, .. }) = opened.recv().await else {
            panic!("{transport}: not refused")
        };
        let (_opened, mut accepted) = tunnels.flow().await;
        tunnels.gateway.close(CloseCode::Shutdown, "");
        let lost = accepted.recv().await;
        assert!(matches!(lost, Err(StreamError::TunnelLost(_))), "{transport}: {lost:?}");
    }
}

/// Every datagram is delivered, refused at once or counted where it was dropped.
#[tokio::test(start_paused = true)]
async fn a_flow_that_nobody_reads_holds_little_and_every_drop_is_counted() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.flow().await;
        let (mut queued, mut refused) = (0, 0);
        for round in 0..200 {
            for number in 0..100 {
                match opened.send(&payload(1000, round * 100 + number)) {
                    Sent::Queued => queued += 1,
                    Sent::Dropped => refused += 1,
                }
            }
            tokio::time::sleep(ms(5)).await;
        }
        tokio::time::sleep(ms(1000)).await;
        assert_eq!(opened.dropped(), refused);
        assert_eq!(tunnels.gateway.stats().dropped_datagrams, refused);
        let lost = accepted.dropped();
        let got = rest(&mut opened, &mut accepted).await.len() as u64;
        assert_eq!(got, 128, "{transport}");
        assert_eq!(got + lost, queued, "{transport}: {refused} refused");
        assert_eq!(tunnels.client.stats().dropped_datagrams, lost);
    }
}

#[tokio::test(start_paused = true)]
async fn large_datagrams_that_nobody_reads_are_bounded_and_stop_nobody_else() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut stalled, unread) = tunnels.flow().await;
        let mut queued = 0_u64;
        for number in 0..100 {
            if stalled.send(&payload(LARGEST, number)) == Sent::Queued {
                queued += 1;
            }
            let wait = Deadline::after(ms(50)).bound(stalled.recv()).await;
            assert!(wait.is_err(), "{transport}: {wait:?}");
        }
        let held = queued - unread.dropped();
        assert!(held <= 8, "{transport}: {held} wait at both ends");
        let (mut opened, mut accepted) = tunnels.flow().await;
        assert_eq!(opened.send(&payload(LARGEST, 7)), Sent::Queued);
        assert_eq!(next(&mut opened, &mut accepted).await, payload(LARGEST, 7));
    }
}

/// On the WebSocket all sizes share one queue, so there it is no question.
#[tokio::test(start_paused = true)]
async fn small_datagrams_that_wait_do_not_hold_up_a_large_one() {
    let tunnels = tunnels(Transport::Quic).await;
    let (mut opened, mut accepted) = tunnels.flow().await;
    for round in 0..4 {
        for number in 0..20 {
            assert_eq!(opened.send(&[round, number]), Sent::Queued);
        }
        tokio::time::sleep(ms(50)).await;
    }
    assert_eq!(opened.send(&payload(LARGEST, 0)), Sent::Queued);
    let wait = Deadline::after(ms(1000)).bound(opened.recv()).await;
    assert!(wait.is_err(), "{wait:?}");
    let mut places = Vec::new();
    for place in 0..81 {
        if accepted.recv().await.unwrap().unwrap().len() == LARGEST {
            places.push(place);
        }
    }
    assert_eq!(places, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_length_over_that_of_any_datagram_breaks_the_flow_and_not_the_tunnel() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.open(Protocol::Udp).await;
        accepted.answer(OpenCode::Connected, "", None).await.unwrap();
        opened.reply().await.unwrap();
        // 65,508 as a varint of four bytes.
        opened.write_all(&[0x80, 0, 0xff, 0xe4, 1, 2, 3]).await.unwrap();
        let broken = Flow::new(accepted).recv().await;
        assert!(matches!(broken, Err(StreamError::Wire(_))), "{transport}: {broken:?}");
        let (mut opened, mut accepted) = tunnels.flow().await;
        assert_eq!(opened.send(b"?"), Sent::Queued);
        assert_eq!(next(&mut opened, &mut accepted).await, "?");
    }
}

#[tokio::test(start_paused = true)]
async fn a_datagram_that_the_end_cuts_off_is_dropped_and_counted() {
    for transport in BOTH {
        let tunnels = tunnels(transport).await;
        let (mut opened, mut accepted) = tunnels.open(Protocol::Udp).await;
        accepted.answer(OpenCode::Connected, "", None).await.unwrap();
        opened.reply().await.unwrap();
        opened.write_all(b"\x05whole\x05cut").await.unwrap();
        opened.shutdown().await.unwrap();
        let mut accepted = Flow::new(accepted);
        assert_eq!(accepted.recv().await.unwrap().unwrap(), "whole");
        assert_eq!((accepted.recv().await, accepted.dropped()), (Ok(None), 1), "{transport}");
        assert_eq!(tunnels.client.stats().dropped_datagrams, 1);
    }
}

/// What a flow holds counts for the stall budget, and can be had back from it.
#[tokio::test(start_paused = true)]
async fn a_flow_that_rests_with_half_a_datagram_makes_room_for_others() {
    for transport in BOTH {
        let link = LinkSettings::with_delay(ms(10));
        let tunnels = Tunnels::with_budget(transport, link, 300_000).await;
        let (mut stalled, mut accepted) = tunnels.open(Protocol::Udp).await;
        accepted.answer(OpenCode::Connected, "", None).await.unwrap();
        stalled.expect_reply(Deadline::never());
        let mut stalled = Flow::new(stalled);
        // How long it held nothing does not count.
        tokio::time::sleep(ms(40_000)).await;
        accepted.write_all(&[0x80, 0, 0xff, 0xe3]).await.unwrap();
        accepted.write_all(&[0; 60_000]).await.unwrap();
        let resting = Deadline::after(ms(29_000)).bound(stalled.recv()).await;
        assert!(resting.is_err(), "{transport}: {resting:?}");
        assert_eq!(tunnels.budget.charged(), 60_004, "{transport}");
        let full = tunnels.gateway.open(&opening(Protocol::Udp)).await.unwrap_err();
        assert_eq!(full, OpenError::Overloaded, "{transport}");
        let resting = Deadline::after(ms(2000)).bound(stalled.recv()).await;
        assert!(resting.is_err(), "too young to be evicted: {resting:?}");
        tunnels.gateway.open(&opening(Protocol::Udp)).await.unwrap_err();
        let evicted = stalled.recv().await;
        assert_eq!(evicted, Err(StreamError::Reset(StreamCode::Stalled)), "{transport}");
        assert_eq!(tunnels.budget.charged(), 0);
        tunnels.gateway.open(&opening(Protocol::Udp)).await.unwrap();
    }
}

/// Sends as fast as it may, for ever.
async fn flood(mut flow: Flow, size: usize) {
    let bytes = payload(size, 0);
    loop {
        for _ in 0..32 {
            let _ = flow.send(&bytes);
        }
        tokio::select! {
            biased;
            over = flow.recv() => panic!("the flood ended: {over:?}"),
            () = tokio::time::sleep(ms(1)) => {}
        }
    }
}

async fn swallow(mut flow: Flow) {
    while flow.recv().await.unwrap().is_some() {}
}

/// 1 MB/s, so that a flood of 30 MB/s fills it.
fn narrow() -> LinkSettings {
    LinkSettings { rate: Some(1_000_000), queue: 64 * 1024, ..LinkSettings::with_delay(ms(10)) }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_flow_leaves_another_its_turn() {
    for transport in BOTH {
        let tunnels = Tunnels::start(transport, narrow()).await;
        for _ in 0..6 {
            let (opened, accepted) = tunnels.flow().await;
            tunnels.scope.spawn("flood", flood(opened, 1000));
            tunnels.scope.spawn("swallow", swallow(accepted));
        }
        tokio::time::sleep(ms(2000)).await;
        let (mut opened, mut accepted) = tunnels.flow().await;
        let mut answered = 0;
        for number in 0..50 {
            assert_eq!(opened.send(&[number]), Sent::Queued, "{transport}");
            let asked = Deadline::after(ms(1000)).bound(next(&mut opened, &mut accepted)).await;
            answered += u32::from(asked.is_ok_and(|got| got[..] == [number]));
        }
        // QUIC loses what the link drops.
        assert!(answered >= 35, "{transport}: {answered} of 50");
        tunnels.scope.cancel();
    }
}

async fn upload(mut stream: Stream, bytes: usize) {
    stream.write_all(&vec![0; bytes]).await.unwrap();
    stream.shutdown().await.unwrap();
    stream.acked().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_datagrams_leaves_streams_and_control_a_good_part_of_the_link() {
    for transport in BOTH {
        let tunnels = Tunnels::start(transport, narrow()).await;
        let (opened, accepted) = tunnels.flow().await;
        tunnels.scope.spawn("flood", flood(opened, 700));
        tunnels.scope.spawn("swallow", swallow(accepted));
        tokio::time::sleep(ms(2000)).await;
        let began = Instant::now();
        let (mut stream, mut accepted) = tunnels.open(Protocol::Tcp).await;
        accepted.answer(OpenCode::Connected, "", None).await.unwrap();
        stream.reply().await.unwrap();
        let mut got = Vec::new();
        let (read, ()) = tokio::join!(accepted.read_to_end(&mut got), upload(stream, 1_000_000));
        read.unwrap();
        let took = began.elapsed();
        assert!(took < ms(4000), "{transport}: a second's worth took {took:?}");
        tunnels.scope.cancel();
    }
}
