//! A configuration file and the places in it that errors point at.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::{ConfigError, Place, Problem, read_text};

/// The largest configuration file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The longest piece of a line that an error shows, in characters.
const SHOWN: usize = 120;

/// A configuration file that has been read.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads the file at `path`, at most 1 MiB.
    ///
    /// # Errors
    ///
    /// [`Problem::Unreadable`], or [`Problem::BadFile`] when it is too large or not UTF-8.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            read_text(path, LARGEST).map_err(|problem| ConfigError::new(Place::Start, problem))?;
        Ok(Self { path: path.into(), text })
    }

    /// A source with the given text, as if it had been read from `path`.
    #[must_use]
    pub fn from_text(path: &Path, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The path that it was read from, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Parses the text; an error points at its line.
    ///
    /// # Errors
    ///
    /// [`Problem::Syntax`], [`Problem::UnknownKey`], [`Problem::MissingKey`] or
    /// [`Problem::WrongType`].
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let place = self.place(&span);
            let mut problem = problem_of(error.message());
            // The message repeats the value, which may be a secret.
            if matches!(problem, Problem::WrongType(_)) && masked(&place.text).is_some() {
                problem = Problem::WrongType("a value of another type is expected".into());
            }
            ConfigError::new(Place::Line(place), problem)
        })
    }

    /// The line at which `span` starts, for an error to show.
    #[must_use]
    pub fn place(&self, span: &Range<usize>) -> Excerpt {
        let start = floor_char_boundary(&self.text, span.start);
        let end = floor_char_boundary(&self.text, span.end.max(start));
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let line_text = rest.lines().next().unwrap_or_default();
        let marked = self.text.get(start..end).unwrap_or_default();
        Excerpt {
            path: self.path.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            width: marked.lines().next().unwrap_or_default().chars().count().max(1),
            text: line_text.to_owned(),
        }
    }

    /// Where a path in this file leads: relative paths start at the file's own directory.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        match self.path.parent() {
            Some(directory) => directory.join(path),
            None => path.into(),
        }
    }
}

/// `str::floor_char_boundary`, which is newer than the oldest compiler that we support.
fn floor_char_boundary(text: &str, index: usize) -> usize {
    let index = index.min(text.len());
    (0..=index).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// Turns the message of the TOML reader into a problem that knows its fix.
fn problem_of(message: &str) -> Problem {
    let mut quoted = message.split('`').skip(1).step_by(2).map(str::to_owned);
    if message.starts_with("unknown field `") {
        let key = quoted.next().unwrap_or_default();
        return Problem::UnknownKey { key, known: quoted.collect() };
    }
    if message.starts_with("missing field `") {
        return Problem::MissingKey(quoted.next().unwrap_or_default());
    }
    if message.starts_with("invalid ") && message.contains(", expected ") {
        return Problem::WrongType(message.replace("expected struct ", "expected a table, "));
    }
    Problem::Syntax(message.to_owned())
}

/// The line without the secret that it seems to hold; `None` for any other line. A URL with an `@`
/// may have a password in front of it.
fn masked(line: &str) -> Option<String> {
    if let Some((before, after)) = line.split_once("://")
        && let Some((login, rest)) = after.rsplit_once('@')
        && login.contains(':')
    {
        return Some(format!("{before}://(hidden)@{rest}"));
    }
    line.match_indices('=')
        .filter_map(|(equals, _)| Some((line.get(..equals)?, line.get(equals + 1..)?)))
        .find(|(before, value)| names_secret(before) && !matches!(value.trim(), "\"-\"" | "'-'"))
        .map(|(before, _)| format!("{before}= (hidden)"))
}

/// Whether `before`, what stands before an equals sign, ends with a key whose value is secret.
fn names_secret(before: &str) -> bool {
    let key = before.trim_end().trim_end_matches(['"', '\'']).to_ascii_lowercase();
    let start = key.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    let name = key.get(start.map_or(0, |at| at + 1)..).unwrap_or_default();
    let sensitive = ["secret", "password", "passwd", "passphrase", "token"];
    sensitive.iter().any(|word| name.contains(word)) && !name.ends_with("_file")
}

/// A line of a configuration file, and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    path: PathBuf,
    line: usize,
    column: usize,
    width: usize,
    text: String,
}

impl Excerpt {
    /// The file, line and column: `configs/gateway.toml:3:1`.
    #[must_use]
    pub fn location(&self) -> String {
        format!("{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

impl fmt::Display for Excerpt {
    /// Writes the line with a caret under the part that is meant. A secret in it is hidden, control
    /// characters become spaces, and of a long line only the piece around the caret is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = masked(&self.text);
        let shown = hidden.as_deref().unwrap_or(&self.text);
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let skipped = if self.column > SHOWN { self.column - SHOWN / 2 } else { 0 };
        let line: String = shown
            .chars()
            .skip(skipped)
            .take(SHOWN)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let length = line.chars().count();
        let indent = (self.column - 1 - skipped.min(self.column - 1)).min(length);
        let width = self.width.min((length - indent).max(1));
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {line}")?;
        write!(f, "{gutter} | {}{}", " ".repeat(indent), "^".repeat(width))
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
