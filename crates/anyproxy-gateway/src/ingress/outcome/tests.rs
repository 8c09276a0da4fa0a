use super::*;

fn refused(code: OpenCode) -> Outcome {
    Outcome::of(&OpenFailure::Refused { code, detail: String::new() }, "db.internal:5432")
}

/// `docs/protocol.md` section 11, line by line.
#[test]
fn open_codes_map_as_documented() {
    let table = [
        (2, 502, "connection_refused", 0x05),
        (3, 502, "dns_error", 0x04),
        (4, 403, "http_request_denied", 0x02),
        (5, 502, "destination_ip_unroutable", 0x04),
        (6, 502, "destination_ip_unroutable", 0x03),
        (7, 504, "connection_timeout", 0x04),
        (8, 502, "connection_terminated", 0x05),
        (9, 503, "connection_limit_reached", 0x01),
        (10, 503, "destination_unavailable", 0x01),
        (12, 400, "http_request_error", 0x01),
        (14, 504, "dns_timeout", 0x04),
        (0, 502, "proxy_internal_error", 0x01),
        (11, 502, "proxy_internal_error", 0x01),
        (13, 502, "proxy_internal_error", 0x01),
        (999, 502, "proxy_internal_error", 0x01),
    ];
    for (number, status, error, socks) in table {
        let outcome = refused(OpenCode::from_u64(number));
        assert_eq!(
            (outcome.status.as_u16(), outcome.proxy_error, outcome.socks),
            (status, error, socks),
            "open code {number}"
        );
        assert!(outcome.text.contains("db.internal:5432"), "{}", outcome.text);
    }
}

#[test]
fn failures_without_a_code_are_told_apart() {
    let of = |failure| {
        let outcome = Outcome::of(&failure, "db:1");
        (outcome.status.as_u16(), outcome.proxy_error, outcome.socks)
    };
    assert_eq!(of(OpenFailure::NoSession), (503, "destination_unavailable", 0x01));
    assert_eq!(of(OpenFailure::Lost), (503, "destination_unavailable", 0x01));
    assert_eq!(of(OpenFailure::TimedOut), (504, "connection_timeout", 0x04));
}

#[test]
fn the_text_says_what_failed_and_what_to_do() {
    let detail = "connection refused by 10.0.0.7:5432".to_owned();
    let outcome = Outcome::of(&OpenFailure::Refused { code: OpenCode::Refused, detail }, "db:5432");
    assert_eq!(
        outcome.text,
        "cannot reach db:5432: refused by the target (connection refused by 10.0.0.7:5432); \
         check that the service listens on that port"
    );
    let repeated =
        OpenFailure::Refused { code: OpenCode::Reset, detail: "Reset while connecting".into() };
    assert_eq!(Outcome::of(&repeated, "db:1").text, "cannot reach db:1: reset while connecting");
}
