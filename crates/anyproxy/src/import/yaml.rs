//! YAML, as far as configuration files need it.
//!
//! The parser is `saphyr-parser`: maintained, pure Rust, and small, since only its events are used. The other crates
//! either need a newer compiler than this workspace, wrap a translated C library that is `unsafe` throughout, or copy
//! what an alias points at without a bound. Here a document has at most [`MOST`] values, [`DEEPEST`] levels, and no
//! aliases: the files of AnyProxy and frp have no use for them.
//!
//! Scalars stay texts. What a number or a truth value is, the one who takes it knows; so a password written `0123`
//! keeps its zero.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// How many values one file may have.
const MOST: usize = 100_000;
/// How deep they may be nested.
const DEEPEST: usize = 32;

/// Reads `text`, which is one document. The error is for a person.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { events: Parser::new_from_str(text), left: MOST };
    while reader.next()? != Event::StreamStart {}
    if reader.next()? == Event::StreamEnd {
        return Ok(Value::Null);
    }
    let first = reader.next()?;
    let value = reader.value(first, DEEPEST)?;
    reader.end().map(|()| value)
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    left: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        self.left = self.left.checked_sub(1).ok_or("it has too many values")?;
        match self.events.next_event() {
            Some(Ok((event, _))) => Ok(event),
            // Its own message may repeat a part of the text, which may be a secret.
            Some(Err(error)) => {
                let at = error.marker();
                Err(format!("line {}, column {}: this is no YAML", at.line(), at.col() + 1))
            }
            None => Err("it ends too early".into()),
        }
    }

    fn end(&mut self) -> Result<(), String> {
        if self.next()? == Event::DocumentEnd && self.next()? == Event::StreamEnd {
            return Ok(());
        }
        Err("it has more than one document".into())
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Value, String> {
        let below = depth.checked_sub(1).ok_or("it is nested too deep")?;
        match event {
            Event::Scalar(text, style, ..) => Ok(scalar(&text, style)),
            Event::SequenceStart(..) => self.sequence(below),
            Event::MappingStart(..) => self.mapping(below),
            Event::Alias(_) => Err("it has an alias (*name); write the value out".into()),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Err("a value is missing".into()),
        }
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, String> {
        let mut list = vec![];
        loop {
            let event = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::Array(list));
            }
            list.push(self.value(event, depth)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        loop {
            let event = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Object(map));
            }
            let Value::String(key) = self.value(event, depth)? else {
                return Err("a key is no text".into());
            };
            let event = self.next()?;
            map.insert(key, self.value(event, depth)?);
        }
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::String(text.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_lists_and_scalars() {
        let text = "---\na: 012\nb: [x, 'y: z']\nc:\n  - {d: true}\n  - e: ~\nf: \":8080\" # why\n";
        let value = json!({"a": "012", "b": ["x", "y: z"], "c": [{"d": "true"}, {"e": null}], "f": ":8080"});
        assert_eq!(parse(text).unwrap(), value);
        assert_eq!(parse("").unwrap(), Value::Null);
    }

    #[test]
    fn what_could_grow_without_bound_is_refused() {
        for text in [
            "a: &x 1\nb: *x",
            &"[".repeat(100),
            &"- a\n".repeat(MOST),
            "a: [1",
            "a: b: c",
            "? [a]\n: b",
        ] {
            assert!(parse(text).is_err(), "{}", text.get(..20.min(text.len())).unwrap());
        }
        let error = parse("password: \"hunter2\n").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
