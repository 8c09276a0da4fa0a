//! What 500 stalled downloads cost one that is not: the ratio of its throughput with them and
//! without, over loopback. Run it with `--release`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a benchmark for people"
)]

use std::{net::SocketAddr, time::Instant};

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
    user::Way,
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const STALLED: usize = 500;
const RUNS: usize = 5;
const SIZE: usize = 256 * 1024 * 1024;

async fn sink(mut conn: Conn) -> usize {
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        match conn.read(&mut buffer).await.unwrap() {
            0 => return total,
            read => total += read,
        }
    }
}

/// MiB/s of one download.
async fn speed(lab: &Lab, target: SocketAddr) -> f64 {
    let conn = lab.connect(Way::Socks5, target).await;
    let began = Instant::now();
    let got = sink(conn).await;
    assert_eq!(got, SIZE, "the whole of it");
    got as f64 / f64::from(1 << 20) / began.elapsed().as_secs_f64()
}

async fn stall(lab: &Lab, target: SocketAddr) -> Vec<Conn> {
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let mut conn = lab.connect(Way::Socks5, target).await;
        conn.read_u8().await.unwrap();
        stalled.push(conn);
    }
    lab.until(|lab| lab.gateway.stalled() >= STALLED as u64 * 128 * 1024).await;
    stalled
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One installation, measured with and without the stalled downloads in turn.
async fn ratio(transport: Transport) {
    // Small buffers in the kernel, lest it runs short of memory and slows everybody down. Only the
    // measured user and its target have all they want.
    let (wide, narrow) = (Site::loopback(), Site::narrow_loopback());
    let endless = target::endless(&narrow);
    let large = target::serve(&wide, |mut conn| async move {
        let bytes = target::pattern(1 << 20);
        for _ in 0..SIZE >> 20 {
            conn.write_all(&bytes).await.unwrap();
        }
        conn.shutdown().await.unwrap();
    });
    let mut lab = Lab::start(narrow.clone(), &Options::new(transport)).await;
    let (mut alone, mut among, mut ratios) = (vec![], vec![], vec![]);
    lab.site.user = wide.user.clone();
    for run in 0..=RUNS {
        let a = speed(&lab, large).await;
        lab.site.user = narrow.user.clone();
        let stalled = stall(&lab, endless).await;
        lab.site.user = wide.user.clone();
        let b = speed(&lab, large).await;
        drop(stalled);
        lab.until(|lab| lab.gateway.users() == 0).await;
        // The first round warms up.
        if run > 0 {
            alone.push(a);
            among.push(b);
            ratios.push(b / a);
        }
    }
    println!(
        "{transport:>4}: alone {:.0} MiB/s, among {STALLED} stalled {:.0} MiB/s, median ratio {:.3}",
        median(alone),
        median(among),
        median(ratios),
    );
}

#[tokio::main]
async fn main() {
    ratio(Transport::Quic).await;
    ratio(Transport::WebSocket).await;
}
