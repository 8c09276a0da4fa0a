//! The first thing that must work: bytes through every ingress, over both transports.

#![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

use anyproxy_tests::{
    lab::{Lab, Options, Site},
    target,
    user::WAYS,
};
use anyproxy_transport::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn echo(site: Site, transport: Transport) {
    let target = target::echo(&site);
    let lab = Lab::start(site, &Options::new(transport).forwards(&[target])).await;
    for way in WAYS {
        let mut conn = lab.connect(way, target).await;
        let sent = target::pattern(300_000);
        conn.write_all(&sent[..1000]).await.unwrap();
        let mut got = vec![0; 1000];
        conn.read_exact(&mut got).await.unwrap();
        assert_eq!(got, sent[..1000], "{way:?}");
        let (mut read, mut write) = tokio::io::split(conn);
        let writing = async {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(writing, read.read_to_end(&mut got));
        read.unwrap();
        assert!(got == sent, "{way:?}: {} bytes", got.len());
    }
}

#[tokio::test]
async fn echo_over_quic() {
    echo(Site::loopback(), Transport::Quic).await;
}

#[tokio::test]
async fn echo_over_websocket() {
    echo(Site::loopback(), Transport::WebSocket).await;
}

#[tokio::test(start_paused = true)]
async fn echo_over_quic_simulated() {
    echo(Site::simulated().0, Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn echo_over_websocket_simulated() {
    echo(Site::simulated().0, Transport::WebSocket).await;
}
