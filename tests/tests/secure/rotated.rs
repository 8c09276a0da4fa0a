//! Another certificate while the gateway runs: new users see it, and who is there goes on.

use anyproxy_tests::{
    lab::{Certificates, Site},
    user::read_head,
};
use anyproxy_transport::{Identity, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{Scene, VERSIONS, expect, login, send};

everywhere! {
    a_replaced_certificate_is_what_new_users_see
}

async fn a_replaced_certificate_is_what_new_users_see(site: Site, transport: Transport) {
    let mut scene = Scene::start(site, transport).await;
    for version in VERSIONS {
        let mut live = scene.tls(version, &[b"http/1.1"]).await;
        let (target, login) = (scene.target, login());
        let request = format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {login}\r\n\r\n"
        );
        live.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(live.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 200"));
        let mut behind = scene.accept().await;

        let other = Certificates::new(&["gateway.test"]);
        let identity = Identity::from_pem(other.chain.as_bytes(), other.key.as_bytes()).unwrap();
        scene.lab.gateway.set_https_identity(&identity);
        live.write_all(b"still there?").await.unwrap();
        live.flush().await.unwrap();
        expect(&mut behind, "still there?").await;
        send(&mut behind, "yes").await;
        let mut answer = [0; 3];
        live.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"yes");
        // Whoever trusts the new CA alone is content.
        scene.ca = other.ca;
        for version in VERSIONS {
            scene.tls(version, &[b"http/1.1"]).await;
        }
    }
    // The tunnels have a certificate of their own, and clients were not disturbed.
    let mut user = scene.lab.tcp(scene.lab.http()).await;
    let (target, login) = (scene.target, login());
    send(&mut user, format!("CONNECT {target} HTTP/1.1\r\nProxy-Authorization: {login}\r\n\r\n"))
        .await;
    assert!(read_head(&mut user).await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(scene.lab.gateway.sessions(), 1);
}
