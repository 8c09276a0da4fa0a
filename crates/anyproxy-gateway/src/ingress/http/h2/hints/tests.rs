use std::time::Duration;

use http::{HeaderValue, header::LINK};

use super::*;
use crate::ingress::http::pace::{Requests, Writing};

fn interim(status: StatusCode, size: usize) -> Interim {
    let mut headers = HeaderMap::new();
    if size > 0 {
        headers.insert(LINK, HeaderValue::from_bytes(&vec![b'x'; size]).unwrap());
    }
    Interim { status, headers }
}

#[test]
fn a_request_has_a_few_and_none_while_the_user_does_not_read() {
    let pace = Pace::since(tokio::time::Instant::now(), Duration::from_secs(30), Requests::AtOnce);
    let mut hints = Hints::default();
    let (hint, go_on) = (interim(StatusCode::EARLY_HINTS, 100), interim(StatusCode::CONTINUE, 0));
    pace.wrote(Writing::Blocked);
    assert!(!hints.may_go(&hint, &pace));
    assert!(hints.may_go(&go_on, &pace), "somebody waits for it");
    assert!(!hints.may_go(&go_on, &pace), "once");
    pace.wrote(Writing::Flowing);
    assert_eq!((0..1000).filter(|_| hints.may_go(&hint, &pace)).count(), MOST);
}

#[test]
fn large_ones_are_fewer() {
    let pace = Pace::since(tokio::time::Instant::now(), Duration::from_secs(30), Requests::AtOnce);
    let mut hints = Hints::default();
    let large = interim(StatusCode::EARLY_HINTS, MOST_BYTES / 4);
    assert_eq!((0..1000).filter(|_| hints.may_go(&large, &pace)).count(), 3);
}
