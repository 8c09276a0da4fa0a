use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> (Reply, usize) {
    Reply::parse(text.as_bytes()).unwrap().unwrap()
}

#[test]
fn answers_of_real_proxies() {
    for (text, status, reason) in [
        ("HTTP/1.1 200 Connection established\r\n\r\n", 200, "Connection established"),
        ("HTTP/1.0 200 OK\r\nVia: x\r\n\r\n", 200, "OK"),
        ("HTTP/1.1 200\r\n\r\n", 200, ""),
        ("HTTP/1.1 200 \r\n\r\n", 200, ""),
        ("HTTP/1.1 407 Proxy Authentication Required\n\n", 407, "Proxy Authentication Required"),
        ("HTTP/1.1 403 Ver\u{1b}[31mboten\r\n\r\n", 403, "Ver [31mboten"),
    ] {
        let (reply, length) = parsed(text);
        assert_eq!((reply.status, reply.reason.as_str(), length), (status, reason, text.len()));
    }
}

#[test]
fn what_follows_the_head_is_left() {
    let (reply, length) = parsed("HTTP/1.1 200 OK\r\nA: b\r\n\r\nfirst bytes\r\n\r\n");
    assert!(reply.is_success());
    assert_eq!(length, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n".len());
}

#[test]
fn the_schemes_of_a_407() {
    let head = |lines: &str| format!("HTTP/1.1 407 x\r\n{lines}\r\n\r\n");
    let both = "Proxy-Authenticate: Negotiate\r\nproxy-authenticate: Basic realm=\"a, b\"";
    for (lines, schemes) in [
        ("Proxy-Authenticate: NTLM", &["NTLM"][..]),
        (both, &["Negotiate", "Basic"]),
        ("Proxy-Authenticate: Digest realm=\"x\", Basic realm=\"x\"", &["Basic"]),
        ("Server: squid", &[]),
    ] {
        assert_eq!(parsed(&head(lines)).0.schemes, schemes, "{lines}");
    }
}

#[test]
fn what_is_no_answer_is_known_at_once() {
    for text in ["S", "\x16\x03", "HTTQ", "SSH-2.0-x\r\n", "HTTP/1.1 two OK\r\n\r\n"] {
        assert_eq!(Reply::parse(text.as_bytes()), Err(BadReply::NotHttp), "{text}");
    }
    for text in ["HTTP/2 200\r\n\r\n", "HTTP/1.1 0200 x\r\n\r\n", "HTTP/1.1 +20 x\r\n\r\n"] {
        assert_eq!(Reply::parse(text.as_bytes()), Err(BadReply::NotHttp), "{text}");
    }
    let endless = format!("HTTP/1.1 200 {}", "x".repeat(MAX_HEAD));
    assert_eq!(Reply::parse(endless.as_bytes()), Err(BadReply::TooLarge));
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(Some((reply, length))) = Reply::parse(&bytes) {
            prop_assert!(length <= bytes.len());
            prop_assert!(!reply.reason.chars().any(char::is_control));
        }
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_come(
        status in 100_u16..600,
        reason in "[ -~]{0,30}",
        fields in proptest::collection::vec("[A-Za-z-]{1,12}: [ -~]{0,20}", 0..5),
        rest in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let lines = fields.iter().map(|line| format!("{line}\r\n")).collect::<String>();
        let head = format!("HTTP/1.1 {status} {reason}\r\n{lines}\r\n");
        for cut in 0..head.len() {
            prop_assert_eq!(Reply::parse(&head.as_bytes()[..cut]), Ok(None));
        }
        let all = [head.as_bytes(), &rest].concat();
        let (reply, length) = Reply::parse(&all).unwrap().unwrap();
        prop_assert_eq!((reply.status, length), (status, head.len()));
        prop_assert_eq!(reply.reason, reason.trim());
    }
}
