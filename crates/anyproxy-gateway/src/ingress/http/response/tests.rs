use std::time::Duration;

use super::*;
use crate::ingress::http::pace::Requests;

#[test]
fn proxy_status_is_a_legal_field() {
    let line =
        proxy_status("anyproxy", Some("dns_error"), "no \"db\" in C:\\ \u{1f4a9}\u{7}").unwrap();
    let expected = r#"anyproxy; error=dns_error; details="no \"db\" in C:\\ ??""#;
    assert_eq!(line.to_str().unwrap(), expected);
    let named = proxy_status("gate way", Some("dns_error"), "").unwrap();
    assert_eq!(named.to_str().unwrap(), r#""gate way"; error=dns_error; details="""#);
    let plain = proxy_status("anyproxy", None, "x").unwrap();
    assert_eq!(plain.to_str().unwrap(), r#"anyproxy; details="x""#);
    let long = proxy_status("a", Some("dns_error"), &"x".repeat(100_000)).unwrap();
    assert!(long.len() < MOST_DETAILS + 50);
}

#[tokio::test]
async fn a_peer_cannot_add_lines() {
    let problem = Problem::bad_gateway("dns_error", "a\r\nSet-Cookie: b\nc".into());
    let response = problem.response(
        "anyproxy",
        &Pace::since(tokio::time::Instant::now(), Duration::from_secs(1), Requests::InTurn),
    );
    assert_eq!(
        response.headers().get("proxy-status").unwrap(),
        r#"anyproxy; error=dns_error; details="a  Set-Cookie: b c""#
    );
    assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "text/plain; charset=utf-8");
}

#[tokio::test]
async fn a_407_challenges_and_a_429_names_a_time() {
    let pace = Pace::since(tokio::time::Instant::now(), Duration::from_secs(1), Requests::InTurn);
    let response = Problem::login_needed("x").response("anyproxy", &pace);
    assert_eq!(response.status(), 407);
    let challenge = response.headers().get(PROXY_AUTHENTICATE).unwrap();
    assert_eq!(challenge, "Basic realm=\"anyproxy\", charset=\"UTF-8\"");
    let response = Problem::busy().response("anyproxy", &pace);
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers().get(RETRY_AFTER).unwrap(), "5");
    let told = response.headers().get("proxy-status").unwrap().to_str().unwrap();
    assert!(told.starts_with("anyproxy; error=http_request_denied; "), "{told}");
}

#[test]
fn last_words_are_a_whole_response() {
    let said = Problem::too_slow().last_words("anyproxy");
    let (head, body) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"), "{head}");
    assert!(head.contains("\r\nProxy-Status: anyproxy; error=http_request_error; "), "{head}");
    assert!(head.contains(&format!("\r\nContent-Length: {}", body.len())), "{head}");
    assert_eq!(body, "the request did not come in time\n");
}
