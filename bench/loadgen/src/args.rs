//! `--name value` pairs; a name nobody asks for is ignored, a value that does not parse is an error.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

pub struct Args(HashMap<String, String>);

impl Args {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut pairs = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or(format!("{word}: a --name was expected"))?;
            let value = words.next().ok_or(format!("--{name} needs a value"))?;
            pairs.insert(name.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    pub fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let parse = |text: &String| {
            text.parse().map_err(|_| format!("--{name} {text}: not a value for it"))
        };
        self.0.get(name).map(parse).transpose()
    }

    pub fn or<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    pub fn required<T: FromStr>(&self, name: &str) -> Result<T, String> {
        self.optional(name)?.ok_or(format!("--{name} is required"))
    }

    pub fn to(&self) -> Result<SocketAddr, String> {
        self.required("to")
    }

    pub fn seconds(&self, name: &str, default: f64) -> Result<Duration, String> {
        let seconds = self.or(name, default)?;
        Duration::try_from_secs_f64(seconds).map_err(|error| format!("--{name}: {error}"))
    }
}
