//! How long a gateway takes from cancel to its end with 1,000 live connections and no drain.
//! Run it with `--release`.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark for people")]

use std::time::{Duration, Instant};

use anyproxy_gateway::Ended;
use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
    user::Way,
};
use anyproxy_transport::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CONNECTIONS: usize = 1000;
const RUNS: usize = 5;

async fn exit_time(transport: Transport) -> Duration {
    let site = Site::loopback();
    let target = target::echo(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    let mut users = Vec::new();
    for index in 0..CONNECTIONS {
        let way = [Way::Http, Way::Socks5, Way::Forward][index % 3];
        let mut user = lab.connect(way, target).await;
        user.write_all(b"x").await.unwrap();
        user.read_u8().await.unwrap();
        users.push(user);
    }
    let began = Instant::now();
    let ended = lab.gateway.shutdown(Duration::ZERO).await;
    let took = began.elapsed();
    assert!(matches!(ended, Ended::Cut(_)), "{ended:?}");
    took
}

#[tokio::main]
async fn main() {
    for transport in [Transport::Quic, Transport::WebSocket] {
        let mut times = Vec::new();
        for _ in 0..RUNS {
            times.push(exit_time(transport).await);
        }
        times.sort_unstable();
        println!(
            "{transport:>4}: {CONNECTIONS} connections, median {:.1} ms of {:?}",
            times[RUNS / 2].as_secs_f64() * 1e3,
            times,
        );
    }
}
