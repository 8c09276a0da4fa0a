//! Tests of [`Source`]: where errors point, and what they never show.

use serde::Deserialize;
use toml::Spanned;

use super::*;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    listen: Option<Spanned<String>>,
    secret: Option<Spanned<String>>,
}

fn fail(text: &str) -> ConfigError {
    Source::from_text(Path::new("dir/a.toml"), text).parse::<Table>().unwrap_err()
}

#[test]
fn an_unknown_key_is_pointed_at_and_the_right_one_offered() {
    let error = fail("# comment\n\tlisen = \"x\"\n");
    assert_eq!(error.to_string(), "dir/a.toml:2:2: unknown key `lisen`");
    assert_eq!(error.excerpt().unwrap(), "  |\n2 |  lisen = \"x\"\n  |  ^^^^^");
    assert_eq!(error.fix().unwrap(), "did you mean `listen`?");
}

#[test]
fn a_strange_key_gets_the_list() {
    assert_eq!(fail("zzz = 1").fix().unwrap(), "use one of listen, secret");
}

#[test]
fn a_wrong_type_and_a_syntax_error_point_at_their_column() {
    let error = fail("listen = 10");
    assert!(error.to_string().starts_with("dir/a.toml:1:10: invalid type: integer `10`"));
    assert!(error.fix().unwrap().contains("quotes"));
    assert!(fail("listen = ").to_string().starts_with("dir/a.toml:1:10: "));
    assert!(fail("listen = \"a\"\n\n[").to_string().starts_with("dir/a.toml:3:2: "));
}

#[test]
fn a_secret_in_the_open_is_never_shown() {
    for text in [
        "password = \"hunter2\"",
        "secret = hunter2",
        "\"secret\" = 'hunter2",
        "Token = [\"hunter2\"]",
        "secret = \"hunter2\" = 2",
        "proxy_password = \"hunter2\"\n",
        "listen = { a = 1, secret = \"hunter2\" }",
        "secret = 20 # hunter2",
        "password_hash = [\"hunter2\"]",
    ] {
        let error = fail(text);
        let printed = format!(
            "{error} {} {:?}",
            error.excerpt().unwrap_or_default(),
            error.fix().unwrap_or_default()
        );
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}

#[test]
fn any_span_of_any_text_can_be_shown() {
    let text = "é = \"x\"\r\n\u{1b}[31m\n\nlast";
    let source = Source::from_text(Path::new("a"), text);
    for start in 0..text.len() + 3 {
        for end in 0..text.len() + 3 {
            let shown = source.place(&(start..end)).to_string();
            assert!(!shown.contains('\u{1b}'));
        }
    }
}

#[test]
fn of_a_long_line_the_meant_part_is_shown() {
    let text = format!("{}bad{}", " ".repeat(5_000), "x".repeat(5_000));
    let shown = Source::from_text(Path::new("a"), &text).place(&(5_000..5_003)).to_string();
    assert!(shown.len() < 500 && shown.contains("bad") && shown.contains("^^^"), "{shown}");
}

#[test]
fn relative_paths_start_at_the_file() {
    let source = Source::from_text(Path::new("etc/a.toml"), "");
    assert_eq!(source.resolve("../certs/a.crt"), Path::new("etc/../certs/a.crt"));
    assert_eq!(source.resolve("/abs"), Path::new("/abs"));
    assert_eq!(Source::from_text(Path::new("a.toml"), "").resolve("b"), Path::new("b"));
}
