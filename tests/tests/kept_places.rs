//! Connections that are only kept for a next request make room for users, whichever way these come.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use anyproxy_gateway::{Gateway, GroupLimits};
use anyproxy_tests::{
    lab::{Certificates, Options, Site, connected, gateway_config, start_client},
    target::{echo, serve},
    user::{As, Doors, WAYS, read_head},
};
use anyproxy_transport::Transport;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn kept_connections_make_room(transport: Transport) {
    let (site, _world) = Site::simulated();
    let echo = echo(&site);
    // It never closes, so that the gateway keeps the connection.
    let http = serve(&site, |mut conn| async move {
        while read_head(&mut conn).await.is_ok() {
            let _ = conn.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
        }
    });
    let (options, certificates) =
        (Options::new(transport).forwards(&[echo]), Certificates::new(&["gateway.test"]));
    let mut config = gateway_config(&site, &options, &certificates);
    config.groups[0].limits = GroupLimits { max_connections: Some(1), ..GroupLimits::default() };
    let gateway = Gateway::start(&config, site.gateway.clone(), Duration::from_secs(10)).unwrap();
    let client = start_client(&site, &options, &certificates, gateway.addresses().tunnels);
    let ports = connected(&client).await;
    let doors = Doors::of(&site, &gateway, &ports);
    for way in WAYS {
        let (_, mut answer) = doors.http_get(&http.to_string(), &As::default()).await.unwrap();
        let mut body = String::new();
        answer.read_to_string(&mut body).await.unwrap();
        assert_eq!(body, "hi");
        let mut conn = doors.connect(way, echo).await.unwrap_or_else(|e| panic!("{way:?}: {e:?}"));
        conn.write_all(b"ping").await.unwrap();
        let mut back = [0; 4];
        conn.read_exact(&mut back).await.unwrap_or_else(|error| panic!("{way:?}: {error}"));
        // The one place is taken now, and by somebody who uses it.
        assert!(doors.http_get(&http.to_string(), &As::default()).await.is_err());
        conn.shutdown().await.unwrap();
        assert_eq!(conn.read(&mut back).await.unwrap(), 0, "{way:?}");
        drop(conn);
        // Its place is free once the client knows it, too.
        while doors.http_get(&http.to_string(), &As::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn kept_connections_make_room_over_quic() {
    kept_connections_make_room(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn kept_connections_make_room_over_websocket() {
    kept_connections_make_room(Transport::WebSocket).await;
}
