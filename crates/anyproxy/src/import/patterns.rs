//! AnyProxy's patterns of hosts, as rules of ours (docs/policy.md).
//!
//! Most of its patterns are regular expressions that match anywhere in `host:port`: a forbidden `corp.example` forbids
//! `www.corp.example:80` too. Ours match whole names. So what is forbidden is widened where it must be, what is allowed
//! is never widened, and where a forbidden pattern has no rule, nothing is allowed until somebody writes one: a lost
//! `deny` must not open what was closed.

use anyproxy_client::egress::Policy;

use super::{draft::ClientDraft, notes::Notes};

/// A rule that allows nothing: no such name exists (RFC 6761, 6.4).
const NOTHING: &str = "nothing.invalid";

/// Fills in the policy of `client`.
pub(super) fn policy(client: &mut ClientDraft, allowed: &[String], forbidden: &[String]) {
    let mut open = allowed.is_empty();
    for pattern in allowed {
        match read(pattern) {
            Pattern::Everything => open = true,
            Pattern::Host(host) if add(&mut client.allow, &host) => {}
            Pattern::Host(_) | Pattern::Other => {
                unread(&mut client.notes, "allowed_hosts", pattern)
            }
        }
    }
    if open {
        client.allow.clear();
    } else if client.allow.is_empty() {
        client.allow.push(NOTHING.into());
    }
    for pattern in forbidden {
        let read = match read(pattern) {
            Pattern::Everything => add(&mut client.deny, "*"),
            Pattern::Host(host) => {
                // Below the name too, if it is one.
                let is_name = host.ends_with(|c: char| c.is_ascii_alphabetic());
                if is_name && !host.contains(['*', ':', '/']) {
                    add(&mut client.deny, &format!("*.{host}"));
                }
                add(&mut client.deny, &host)
            }
            Pattern::Other => false,
        };
        if !read {
            unread(&mut client.notes, "forbidden_hosts", pattern);
            client.allow = vec![NOTHING.into()];
        }
    }
}

fn unread(notes: &mut Notes, list: &str, pattern: &str) {
    let then = if list == "forbidden_hosts" {
        "until you write a rule for it into `deny` and take nothing.invalid out of `allow`, users \
         reach nothing but forwards"
    } else {
        "write a rule for it into `allow`"
    };
    notes.add(
        &format!("client.{list} `{pattern}`"),
        "this pattern is no rule (docs/policy.md)",
        then,
    );
}

/// Adds `rule` if it is one.
fn add(list: &mut Vec<String>, rule: &str) -> bool {
    let fits = Policy::parse(&[rule.to_owned()], &[]).is_ok();
    if fits && list.iter().all(|other| other != rule) {
        list.push(rule.into());
    }
    fits
}

enum Pattern {
    Everything,
    Host(String),
    Other,
}

/// What a pattern means, if it is one of the usual ones.
fn read(pattern: &str) -> Pattern {
    let bare = pattern.trim();
    let bare = bare.strip_prefix('^').unwrap_or(bare);
    let bare = bare.strip_suffix('$').unwrap_or(bare);
    if matches!(bare, ".*" | ".+" | "*" | "*:*" | "" | ".*:.*") {
        return Pattern::Everything;
    }
    let plain = bare.replace("\\.", ".");
    let plain = match [".*.", "(.*.)?", "(.+.)?", ".+."].iter().find_map(|p| plain.strip_prefix(p))
    {
        Some(rest) => format!("*.{rest}"),
        None => plain,
    };
    let rest = plain.strip_prefix("*.").unwrap_or(&plain);
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/');
    // A wildcard host with a port is understood by both.
    let host = rest.strip_prefix("*:").or_else(|| rest.strip_suffix(":*")).unwrap_or(rest);
    if host.chars().all(known) && !host.starts_with('.') {
        Pattern::Host(plain)
    } else {
        Pattern::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(allowed: &[&str], forbidden: &[&str]) -> (Vec<String>, Vec<String>, usize) {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let mut client = ClientDraft::default();
        policy(&mut client, &owned(allowed), &owned(forbidden));
        let notes = client.notes.lines().count();
        (client.allow, client.deny, notes)
    }

    #[test]
    fn the_usual_patterns() {
        let (allow, deny, notes) = of(
            &[
                "example.com",
                "*.corp.example",
                "10.0.0.0/8:22",
                "db.corp:5432",
                "^.*\\.org\\.example$",
            ],
            &["192.168.0.0/16", "127.0.0.1", "internal.example", "*:25"],
        );
        assert_eq!(
            allow,
            ["example.com", "*.corp.example", "10.0.0.0/8:22", "db.corp:5432", "*.org.example"]
        );
        assert_eq!(
            deny,
            ["192.168.0.0/16", "127.0.0.1", "*.internal.example", "internal.example", "*:25"]
        );
        assert_eq!(notes, 0);
    }

    #[test]
    fn everything_is_no_list() {
        assert_eq!(of(&["a.example", ".*"], &[]).0, [""; 0]);
        assert_eq!(of(&[], &[".*"]).1, ["*"]);
    }

    #[test]
    fn what_cannot_be_read_opens_nothing() {
        assert_eq!(of(&["a|b"], &[]), (vec![NOTHING.into()], vec![], 1));
        assert_eq!(of(&[], &["db[0-9]+"]), (vec![NOTHING.into()], vec![], 1));
        assert_eq!(of(&["a.example"], &["db[0-9]+"]).0, [NOTHING]);
    }
}
