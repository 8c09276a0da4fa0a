//! A user who is removed, or gets another password, opens no new flows through an old association.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure is the test's result"
)]

use std::time::Duration;

use anyproxy_gateway::GroupConfig;
use anyproxy_tests::{
    groups::{group, kept},
    lab::{GROUP, Lab, Options, SECRET, Site},
    udp::{self, Association, header},
    user::As,
};
use anyproxy_transport::Transport;
use tokio::io::AsyncReadExt as _;

const SECOND: Duration = Duration::from_secs(1);

/// How a user is not the same any more.
#[derive(Debug, Clone, Copy)]
enum Change {
    Removed,
    OtherPassword,
}

impl Change {
    fn of_group(self) -> GroupConfig {
        let mut changed = group(GROUP, SECRET);
        match self {
            Self::Removed => changed.users.clear(),
            Self::OtherPassword => changed.users[0].password = kept("another"),
        }
        changed
    }
}

async fn no_new_flow_for_a_user_who_is_gone(transport: Transport) {
    for change in [Change::Removed, Change::OtherPassword] {
        let site = Site::simulated().0;
        let first = udp::echo(&site);
        let second = udp::echo(&site);
        let (third, mut seen) = udp::target(&site, |payload| vec![payload.to_vec()]);
        let lab = Lab::start(site, &Options::new(transport)).await;
        let mut user = Association::open(&lab, &As::default(), None).await.unwrap();
        let ip = first.ip().to_string();
        assert_eq!(user.ask(&ip, first.port(), b"before").await.1, b"before");
        // What changes nothing for this user ends nothing.
        lab.gateway.set_groups(&[group(GROUP, SECRET), group("other", "secret")]);
        assert_eq!(user.ask(&ip, second.port(), b"still").await.1, b"still");

        lab.gateway.set_groups(&[change.of_group()]);
        let datagram = [header(&ip, third.port()), b"after".to_vec()].concat();
        user.socket.send(&datagram, user.relay);
        let end = tokio::time::timeout(60 * SECOND, user.control.read(&mut [0; 16])).await;
        assert!(matches!(end.unwrap(), Ok(0) | Err(_)), "{change:?}: the association ends");
        assert!(seen.try_recv().is_err(), "{change:?}: nothing came to the target");
        while lab.gateway.flows().live > 0 {
            tokio::time::sleep(SECOND).await;
        }
        assert!(Association::open(&lab, &As::default(), None).await.is_err(), "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_new_flow_for_a_user_who_is_gone_over_quic() {
    no_new_flow_for_a_user_who_is_gone(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn no_new_flow_for_a_user_who_is_gone_over_websocket() {
    no_new_flow_for_a_user_who_is_gone(Transport::WebSocket).await;
}
