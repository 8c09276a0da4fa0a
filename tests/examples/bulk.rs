//! Bulk throughput through a forwarded port, in one process on loopback: each transport with its
//! credit, and with so much initial credit that none is ever granted, to show what granting costs.
//!
//! `cargo run --release --package anyproxy-tests --example bulk [MiB] [rounds]`
//!
//! The cells take turns in every round, so that a noisy machine treats them alike. Rates are MiB/s,
//! median and range; the last column is the ratio to the same transport without grants.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints, and stops at the first failure"
)]

use std::time::Instant;

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
};
use anyproxy_transport::{Transport, net::Conn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// More than any transfer here.
const ENDLESS: u64 = 1 << 40;

#[derive(Clone, Copy)]
enum Towards {
    User,
    Target,
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>().unwrap());
    let size = args.next().unwrap_or(256) << 20;
    let rounds = args.next().unwrap_or(5);
    let cells = [Transport::Quic, Transport::WebSocket]
        .into_iter()
        .flat_map(|t| [Towards::User, Towards::Target].map(|towards| (t, towards)))
        .collect::<Vec<_>>();
    println!(
        "transport  direction      credit: median (range)   without grants: median (range)   ratio"
    );
    for (transport, towards) in cells {
        let mut rates = [vec![], vec![]];
        for _ in 0..rounds {
            for (credit, rates) in [None, Some(ENDLESS)].into_iter().zip(&mut rates) {
                rates.push(measure(transport, towards, credit, size).await);
            }
        }
        let [with, without] = rates.map(summary);
        let direction = match towards {
            Towards::User => "to user",
            Towards::Target => "to target",
        };
        let ratio = with.0 / without.0;
        println!(
            "{:<9}  {direction:<10} {:>10.0} ({:.0}-{:.0}) {:>22.0} ({:.0}-{:.0}) {ratio:>16.3}",
            transport.to_string(),
            with.0,
            with.1,
            with.2,
            without.0,
            without.1,
            without.2
        );
    }
}

fn summary(mut rates: Vec<f64>) -> (f64, f64, f64) {
    rates.sort_by(f64::total_cmp);
    (rates[rates.len() / 2], rates[0], rates[rates.len() - 1])
}

/// MiB/s of one transfer through a fresh installation.
async fn measure(transport: Transport, towards: Towards, credit: Option<u64>, size: usize) -> f64 {
    let site = Site::loopback();
    let target = match towards {
        Towards::User => target::serve(&site, move |conn| send(conn, size)),
        Towards::Target => target::serve(&site, |conn| async move {
            let mut conn = conn;
            swallow(&mut conn).await;
            let _ = conn.shutdown().await;
        }),
    };
    let mut options = Options::new(transport).forwards(&[target]);
    if let Some(credit) = credit {
        options.limits.initial_credit = credit;
        options.client_limits.initial_credit = credit;
        // What may come is charged; without grants that is everything.
        options.limits.stall_budget = u64::MAX;
        options.client_limits.stall_budget = u64::MAX;
    }
    let lab = Lab::start(site, &options).await;
    let mut conn = lab.tcp(lab.ports[0]).await;
    let began = Instant::now();
    if let Towards::Target = towards {
        let (mut read, mut write) = tokio::io::split(conn);
        let block = target::pattern(256 * 1024);
        for _ in 0..size / block.len() {
            write.write_all(&block).await.unwrap();
        }
        write.shutdown().await.unwrap();
        assert_eq!(read.read(&mut [0]).await.unwrap(), 0);
    } else {
        assert_eq!(swallow(&mut conn).await, size);
    }
    (size >> 20) as f64 / began.elapsed().as_secs_f64()
}

async fn send(mut conn: Conn, size: usize) {
    let block = target::pattern(256 * 1024);
    for _ in 0..size / block.len() {
        if conn.write_all(&block).await.is_err() {
            return;
        }
    }
    let _ = conn.shutdown().await;
}

async fn swallow(conn: &mut Conn) -> usize {
    let mut buffer = vec![0; 256 * 1024];
    let mut got = 0;
    while let Ok(read @ 1..) = conn.read(&mut buffer).await {
        got += read;
    }
    got
}
