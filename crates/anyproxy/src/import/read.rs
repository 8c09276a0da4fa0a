//! From a file to one tree, whatever it is written in, and whose it is.

use std::path::Path;

use serde_json::Value;

use super::{ImportError, ini, yaml};
use crate::{cli::Foreign, config::read_text};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Reads the file at `path`, and tells whose it is unless that is `given`.
pub(super) fn read(path: &Path, given: Option<Foreign>) -> Result<(Foreign, Value), ImportError> {
    let text = read_text(path, LARGEST).map_err(ImportError::Read)?;
    let bad = |why| ImportError::Syntax { path: path.into(), why };
    // The templates of frp are no part of TOML; a value would be taken as it stands.
    if text.contains("{{") {
        return Err(ImportError::Template(path.into()));
    }
    let value = tree(path, &text).map_err(bad)?;
    let from = given.or_else(|| whose(&value)).ok_or_else(|| ImportError::Unknown(path.into()))?;
    Ok((from, value))
}

/// The extension says how it is written; without one that is known, what can be read.
fn tree(path: &Path, text: &str) -> Result<Value, String> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => yaml::parse(text),
        // JSON is YAML.
        Some("json") => yaml::parse(text).map_err(|why| why.replace("YAML", "JSON")),
        Some("ini") => ini::parse(text),
        Some("toml") => toml(text).or_else(|error| ini::parse(text).map_err(|_| error)),
        _ => toml(text).or_else(|_| ini::parse(text)).or_else(|_| yaml::parse(text)),
    }
}

fn toml(text: &str) -> Result<Value, String> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        // What it quotes may be a value, which may be a secret.
        let cause = error.message().split(['`', '"', '\'', '\n']).next().unwrap_or_default().trim();
        match cause.is_empty() {
            true => format!("line {line}: this is no TOML"),
            false => format!("line {line}: this is no TOML ({cause})"),
        }
    })
}

/// The tables and keys that only one program has.
fn whose(value: &Value) -> Option<Foreign> {
    let has = |key: &str| value.get(key).is_some();
    let table_has = |table: &str, keys: &[&str]| {
        let table = value.get(table);
        keys.iter().any(|key| table.is_some_and(|table| table.get(key).is_some()))
    };
    let rathole = table_has("server", &["bind_addr", "services", "default_token"])
        || table_has("client", &["remote_addr", "services", "default_token"]);
    let anyproxy = table_has("gateway", &["listen_addr", "tls_cert", "proxy"])
        || table_has("client", &["gateway", "gateway_addr", "open_ports", "group_id"]);
    let frp = ["bindPort", "serverAddr", "serverPort", "proxies", "visitors", "auth"];
    if rathole {
        Some(Foreign::Rathole)
    } else if anyproxy {
        Some(Foreign::Anyproxy)
    } else {
        frp.iter().any(|key| has(key)).then_some(Foreign::Frp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Foreign> {
        whose(&tree(Path::new("x"), text).unwrap())
    }

    #[test]
    fn whose_a_file_is_shows_in_its_keys() {
        assert_eq!(of("[server]\nbind_addr = \"a\""), Some(Foreign::Rathole));
        assert_eq!(of("[client]\nremote_addr = \"a\""), Some(Foreign::Rathole));
        assert_eq!(of("serverAddr = \"a\""), Some(Foreign::Frp));
        assert_eq!(of("[common]\nserver_addr = a"), Some(Foreign::Frp));
        assert_eq!(of("gateway: {listen_addr: \":1\"}"), Some(Foreign::Anyproxy));
        assert_eq!(of("client:\n  gateway_addr: a:1"), Some(Foreign::Anyproxy));
        assert_eq!(of("a: b"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn an_error_names_the_line_the_language_and_the_cause() {
        let of = |name: &str, text: &str| tree(Path::new(name), text).unwrap_err();
        let error = of("a.toml", "a = 1\nb = hunter2\n");
        assert!(
            error.starts_with("line 2: this is no TOML (") && !error.contains("hunter2"),
            "{error}"
        );
        let error = of("a.json", "{\"a\": [1}");
        assert!(error.contains("JSON") && !error.contains("YAML"), "{error}");
    }

    #[test]
    fn an_error_shows_no_value() {
        for name in ["a.toml", "a.yaml", "a.ini", "a"] {
            let text = "[common]\ntoken = \"hunter2\n\tx: [hunter2\n";
            let error = tree(Path::new(name), text).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
