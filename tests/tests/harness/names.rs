use std::io::ErrorKind;

use tokio::time::Instant;

use super::{Pair, addr, elapsed_ms, ip, ms};

#[tokio::test(start_paused = true)]
async fn names_resolve_to_every_address_in_order() {
    let pair = Pair::with_delay(ms(5));
    pair.world.name("Web.Example.", &[ip("fd00::5"), ip("10.0.0.5")]);
    let found = pair.a.net().resolve("web.example", 80).await.unwrap();
    assert_eq!(found, [addr("[fd00::5]:80"), addr("10.0.0.5:80")]);
    let literal = pair.a.net().resolve("10.0.0.9", 1).await.unwrap();
    assert_eq!(literal, [addr("10.0.0.9:1")]);
    let near = pair.a.net().resolve("localhost", 1).await.unwrap();
    assert_eq!(near, [addr("127.0.0.1:1")]);
    assert_eq!(pair.a.lookups(), ["web.example", "localhost"]);
    assert!(pair.b.lookups().is_empty());
}

#[tokio::test(start_paused = true)]
async fn unknown_names_are_not_found_and_others_can_fail() {
    let pair = Pair::with_delay(ms(5));
    pair.world.name_fails("broken.example", ErrorKind::TimedOut);
    pair.world.lookup_delay(ms(30));
    let start = Instant::now();
    let net = pair.a.net();
    let unknown = net.resolve("unknown.example", 80).await.unwrap_err();
    assert_eq!((unknown.kind(), elapsed_ms(start)), (ErrorKind::NotFound, 30));
    let broken = net.resolve("broken.example", 80).await.unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_private_name_is_known_to_its_host_only() {
    let pair = Pair::with_delay(ms(5));
    pair.world.name("intra", &[ip("10.0.0.50")]);
    pair.a.name("intra", &[ip("192.168.0.5")]);
    pair.a.name("nas", &[ip("192.168.0.6")]);
    let (a, b) = (pair.a.net(), pair.b.net());
    assert_eq!(a.resolve("intra", 1).await.unwrap(), [addr("192.168.0.5:1")]);
    assert_eq!(b.resolve("intra", 1).await.unwrap(), [addr("10.0.0.50:1")]);
    assert_eq!(a.resolve("nas", 1).await.unwrap(), [addr("192.168.0.6:1")]);
    assert_eq!(b.resolve("nas", 1).await.unwrap_err().kind(), ErrorKind::NotFound);
}
