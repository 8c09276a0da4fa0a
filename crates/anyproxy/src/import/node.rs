//! A table of another program's file, from which the converter takes what it understands.
//!
//! What is taken is gone; what is left at the end is what nobody carried over, and is reported. So no key of a foreign
//! file can be lost without a word, those of versions that we have never seen included.

use serde_json::{Map, Value};

/// A table of a foreign file, and where it is.
pub(super) struct Node {
    path: String,
    left: Map<String, Value>,
}

impl Node {
    /// The table, which the messages call `path`; what is no table is an empty one.
    pub(super) fn new(path: &str, value: Value) -> Self {
        let left = if let Value::Object(map) = value { map } else { Map::new() };
        Self { path: path.into(), left }
    }

    /// How messages call `key` of this table.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    /// Whether there is such a key; the parts of `key` are separated by dots.
    pub(super) fn has(&self, key: &str) -> bool {
        let mut parts = key.split('.');
        let first = parts.next().and_then(|part| self.left.get(part));
        parts.try_fold(first, |value, part| value.map(|value| value.get(part))).flatten().is_some()
    }

    /// Takes a text, or a number as text; none if it is empty.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.take(key, |v| v.is_string() || v.is_number() || v.is_boolean())?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(text).filter(|text| !text.is_empty())
    }

    /// Takes a whole number.
    pub(super) fn number(&mut self, key: &str) -> Option<i64> {
        let is_number = |v: &Value| v.is_i64() || v.as_str().is_some_and(is_whole);
        let value = self.take(key, is_number)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Takes a port, which is not 0.
    pub(super) fn port(&mut self, key: &str) -> Option<u16> {
        let fits = |v: &Value| port_of(v).is_some();
        self.take(key, fits).as_ref().and_then(port_of)
    }

    /// Takes a truth value.
    pub(super) fn flag(&mut self, key: &str) -> Option<bool> {
        match self.text(key)?.as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            _ => Some(false),
        }
    }

    /// Takes a list of texts.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let all = |v: &Value| v.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        let Some(Value::Array(list)) = self.take(key, all) else { return vec![] };
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Takes a list of tables.
    pub(super) fn tables(&mut self, key: &str) -> Vec<Self> {
        let all = |v: &Value| v.as_array().is_some_and(|list| list.iter().all(Value::is_object));
        let path = self.at(key);
        let Some(Value::Array(list)) = self.take(key, all) else { return vec![] };
        let numbered = list.into_iter().enumerate();
        numbered.map(|(index, value)| Self::new(&format!("{path}[{index}]"), value)).collect()
    }

    /// Takes a table.
    pub(super) fn table(&mut self, key: &str) -> Option<Self> {
        let path = self.at(key);
        self.take(key, Value::is_object).map(|value| Self::new(&path, value))
    }

    /// Takes every table in this table, with its name.
    pub(super) fn children(&mut self) -> Vec<(String, Self)> {
        let names: Vec<_> = self
            .left
            .iter()
            .filter(|(_, value)| value.is_object())
            .map(|(name, _)| name.clone())
            .collect();
        let taken = names.into_iter().filter_map(|name| {
            let path = self.at(&name);
            let value = self.left.remove(&name)?;
            Some((name, Self::new(&path, value)))
        });
        taken.collect()
    }

    /// Takes what needs no counterpart, and says whether any of it was there.
    pub(super) fn forget(&mut self, keys: &[&str]) -> bool {
        let taken = keys.iter().map(|key| self.take(key, |_| true).is_some());
        taken.fold(false, |any, taken| any | taken)
    }

    /// The paths of all that is left.
    pub(super) fn rest(self) -> Vec<String> {
        let mut paths = vec![];
        walk(&self.path, &Value::Object(self.left), &mut paths);
        paths
    }

    /// Takes the value at the dotted `key`, if it fits; else it stays, and is reported in the end.
    fn take(&mut self, key: &str, fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let (tables, last) = match key.rsplit_once('.') {
            Some((tables, last)) => (Some(tables), last),
            None => (None, key),
        };
        let mut map = &mut self.left;
        for part in tables.into_iter().flat_map(|tables| tables.split('.')) {
            map = map.get_mut(part)?.as_object_mut()?;
        }
        if map.get(last).is_some_and(fits) { map.remove(last) } else { None }
    }
}

fn is_whole(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

fn port_of(value: &Value) -> Option<u16> {
    let port = match value {
        Value::String(text) => text.parse().ok()?,
        Value::Number(number) => u16::try_from(number.as_u64()?).ok()?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(port).filter(|&port| port != 0)
}

/// The paths of the leaves below `value`. Empty values say nothing, so nothing is lost with them.
fn walk(path: &str, value: &Value, paths: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, value, paths);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (index, value) in list.iter().enumerate() {
                walk(&format!("{path}[{index}]"), value, paths);
            }
        }
        Value::Array(list) if list.is_empty() => {}
        Value::String(text) if text.is_empty() => {}
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            paths.push(path.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_taken_is_reported_with_its_path() {
        let value =
            json!({"a": {"b": 1, "c": ["x"]}, "d": [{"e": true}], "f": "", "g": null, "p": 70000});
        let mut node = Node::new("", value);
        assert!(node.has("a.b") && !node.has("a.x") && !node.has("x.y"));
        assert_eq!(node.number("a.b"), Some(1));
        assert_eq!(node.port("p"), None);
        assert_eq!(node.text("a"), None);
        assert_eq!(node.rest(), ["a.c", "d[0].e", "p"]);
    }

    #[test]
    fn numbers_may_be_written_as_texts() {
        let mut node = Node::new("", json!({"n": "12", "p": "80", "z": 0, "t": 5}));
        assert_eq!((node.number("n"), node.port("p"), node.port("z")), (Some(12), Some(80), None));
        assert_eq!(node.text("t").as_deref(), Some("5"));
        assert_eq!(node.rest(), ["z"]);
    }
}
