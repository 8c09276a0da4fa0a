//! Whether anybody listens at a UDP port.
//!
//! ```text
//! connected socket ── a few bytes ──▶ port      nobody there: ICMP "port unreachable" comes back
//! ```
//!
//! quinn's socket is not connected, so the system never tells it of ICMP, and an attempt would wait
//! until its time is over. QUIC servers drop such bytes in silence: they are too short for a packet
//! (RFC 9000, 10.3), and the fixed bit (17.2) is not set.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyproxy_runtime::Deadline;

use crate::{
    error::TunnelError,
    net::{Net, is_icmp},
};

const KNOCK: [u8; 8] = [0; 8];

/// Hosts send few ICMP messages at a time (RFC 1812, 4.3.2.8), and any of them may be lost.
const KNOCKS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until the network says that nobody listens at `gateway`; for ever if it does not. Cancel
/// safe.
pub(crate) async fn closed(net: &dyn Net, gateway: SocketAddr) -> TunnelError {
    let any = match gateway {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let Ok(socket) = net.datagrams(any, Some(gateway)) else {
        return std::future::pending().await;
    };
    let mut buf = [0; 64];
    for _ in 0..KNOCKS {
        let sent = socket.try_send(&KNOCK, gateway, None);
        if let Some(error) = sent.err().filter(is_icmp) {
            return rejected(&error);
        }
        match Deadline::after(PAUSE).bound(socket.recv(&mut buf)).await {
            Ok(Err(error)) if is_icmp(&error) => return rejected(&error),
            Ok(_) => break,
            Err(_) => {}
        }
    }
    std::future::pending().await
}

/// By the port, or by a firewall that plays it or says so (ICMP "prohibited" is "no route to host").
fn rejected(error: &io::Error) -> TunnelError {
    TunnelError::Transport(format!("UDP is rejected: {error}"))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::net::System;

    #[tokio::test]
    async fn a_port_that_is_closed_is_told_from_one_that_says_nothing() {
        let net = System::default();
        let open = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = open.local_addr().unwrap();
        tokio::select! {
            error = closed(&net, addr) => panic!("somebody is there: {error}"),
            knocked = tokio::task::spawn_blocking(move || {
                let mut buf = [0; 64];
                // Had the knock been refused, it would be known by the second one.
                for _ in 0..2 {
                    assert_eq!(open.recv(&mut buf).unwrap(), KNOCK.len());
                }
            }) => knocked.unwrap(),
        }
        // The socket is gone now.
        let error = closed(&net, addr).await;
        assert!(matches!(error, TunnelError::Transport(_)), "{error}");
    }
}
