//! Tokens as text: `apj1_` and base64url. The bytes are `anyproxy_wire::join_token`'s.

use anyproxy_wire::join_token::{BadToken, JoinToken, LONGEST, PREFIX};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{config::Problem, values::group_name};

/// How a person gets another one.
pub(crate) const ANOTHER: &str = "make a new one: on the gateway, run `anyproxy token create`";

/// The text that a person hands to a client.
pub(crate) fn to_text(token: &JoinToken) -> Zeroizing<String> {
    let bytes = token.to_bytes();
    let mut text = Zeroizing::new(PREFIX.to_owned());
    URL_SAFE_NO_PAD.encode_string(bytes.expose(), &mut text);
    text
}

/// Where a token should be is nothing.
pub(super) fn missing(origin: &str) -> Problem {
    Problem::Refused {
        what: format!("{origin} is empty; a join token was expected there"),
        fix: "put a token there: on the gateway, `anyproxy token create --secret-out -` prints one, which \
              starts with apj1_"
            .into(),
    }
}

/// Reads what a person typed. The error says what is wrong and does not repeat it.
pub(crate) fn from_text(text: &str) -> Result<JoinToken, Problem> {
    let wrong = |what: String| {
        Err(Problem::Refused { what, fix: format!("copy the whole token once more, or {ANOTHER}") })
    };
    let text = text.trim();
    let Some(body) = text.strip_prefix(PREFIX) else {
        let other = text.strip_prefix("apj").is_some_and(|rest| {
            rest.split_once('_').is_some_and(|(version, _)| version.parse::<u32>().is_ok())
        });
        return if other {
            Err(Problem::Refused {
                what: "the join token was made by another version of anyproxy".into(),
                fix: "run the version that the gateway runs".into(),
            })
        } else {
            wrong(format!("this is no join token: one starts with {PREFIX}"))
        };
    };
    if let Some(strange) =
        body.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
    {
        return wrong(format!("the join token has a character that no token has: {strange:?}"));
    }
    // Four characters hold three bytes.
    if body.len() > LONGEST.div_ceil(3) * 4 {
        return wrong("the join token is too long".into());
    }
    let bytes = match URL_SAFE_NO_PAD.decode(body) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(_) => return wrong(BadToken::Length.to_string()),
    };
    let token = match JoinToken::from_bytes(&bytes) {
        Ok(token) => token,
        Err(error) => return wrong(error.to_string()),
    };
    let address = token.address.parse::<crate::values::HostPort>();
    if group_name(&token.group).is_err() || address.is_err() {
        return wrong(BadToken::Content.to_string());
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use anyproxy_wire::message::SecretBytes;

    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            id: [1; 8],
            secret: SecretBytes::new([2; 16]),
            pin: Some([3; 32]),
            group: "home".into(),
            address: "gw.example.com:8443".into(),
        }
    }

    #[test]
    fn a_token_is_typed_with_blanks_around_it() {
        let text = to_text(&token());
        assert!(text.starts_with("apj1_") && text.len() < 150, "{}", *text);
        for typed in [format!(" {}\n", *text), text.to_string()] {
            assert_eq!(from_text(&typed).unwrap(), token());
        }
    }

    #[test]
    fn what_is_typed_wrong_is_named_and_not_repeated() {
        let text = to_text(&token());
        let changed = |at: usize| {
            let mut text = text.to_string();
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            text.replace_range(at..=at, other);
            text
        };
        for (typed, part) in [
            (String::new(), "starts with apj1_"),
            ("hunter2".into(), "starts with apj1_"),
            (text.replace("apj1_", "apj2_"), "another version"),
            (text[..text.len() - 4].to_owned(), "token"),
            (text[..12].to_owned(), "token"),
            (changed(20), "checksum"),
            (changed(text.len() - 1), ""),
            (format!("{}é", *text), "'é'"),
            (format!("{} x", *text), "' '"),
            (format!("{}{}", *text, "A".repeat(1000)), "too long"),
        ] {
            let error = from_text(&typed).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            let said = format!("{error} {}", error.fix().unwrap());
            assert!(!said.contains("hunter2") && !said.contains(&text[20..40]), "{said}");
        }
        assert!(from_text("hunter2").unwrap_err().fix().unwrap().contains("token create"));
    }

    #[test]
    fn a_token_that_names_no_real_group_or_address_is_refused() {
        for (group, address) in [("a b", "gw:1"), ("home", "gw"), ("home", "http://gw:1")] {
            let bad = JoinToken { group: group.into(), address: address.into(), ..token() };
            assert!(from_text(&to_text(&bad)).is_err(), "{group} {address}");
        }
    }
}
