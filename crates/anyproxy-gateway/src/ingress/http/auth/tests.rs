use base64::{Engine as _, engine::general_purpose::STANDARD as WITH_PADDING};

use super::*;

fn login(value: &str) -> Option<(String, Vec<u8>)> {
    Login::parse(value.as_bytes()).map(|login| (login.name().into(), login.password().to_vec()))
}

fn basic(plain: &[u8]) -> String {
    format!("Basic {}", WITH_PADDING.encode(plain))
}

#[test]
fn a_password_may_have_colons_and_any_bytes() {
    assert_eq!(login(&basic(b"ann:s:c\xffret")), Some(("ann".into(), b"s:c\xffret".to_vec())));
    assert_eq!(login(&basic(b"ann:")), Some(("ann".into(), vec![])));
    assert_eq!(login(&basic("änn:x".as_bytes())), Some(("änn".into(), b"x".to_vec())));
}

#[test]
fn scheme_case_spaces_and_padding_do_not_matter() {
    let expected = Some(("a".into(), b"b".to_vec()));
    for value in ["Basic YTpi", "bAsIc   YTpi", "Basic YTpi  "] {
        assert_eq!(login(value), expected, "{value}");
    }
    assert_eq!(login("Basic YTpiYw"), Some(("a".into(), b"bc".to_vec())));
    assert_eq!(login("Basic YTpiYw=="), Some(("a".into(), b"bc".to_vec())));
}

#[test]
fn anything_else_is_no_login() {
    for value in ["", "Basic", "BasicYTpi", "Bearer YTpi", "Basic *", "Basic YWI=", "Digest YTpi"] {
        assert_eq!(login(value), None, "{value}");
    }
    assert_eq!(login(&basic(b"\xff:x")), None, "a name that is not UTF-8");
}

#[test]
fn two_logins_are_none() {
    let mut headers = HeaderMap::new();
    assert!(Login::of(&headers).is_none());
    headers.append(PROXY_AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
    assert!(Login::of(&headers).is_some());
    headers.append(PROXY_AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
    assert!(Login::of(&headers).is_none());
}
