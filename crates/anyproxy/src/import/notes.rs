//! What could not be carried over, why, and what to do about it.
//!
//! A note names keys and never repeats a value, which may be a secret.

/// The notes about one side.
#[derive(Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    /// `key` could not be carried over, because of `why`; the reader should do `then`.
    pub(super) fn add(&mut self, key: &str, why: &str, then: &str) {
        let line = format!("{key}: {why}; {then}");
        let line = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if !self.0.contains(&line) {
            self.0.push(line);
        }
    }

    /// What nobody took: keys that we do not know, or whose values are of no kind that we know.
    pub(super) fn rest(&mut self, paths: Vec<String>) {
        for path in paths {
            self.add(&path, "it has no counterpart here, or a value that is not understood", SEE);
        }
    }

    /// Takes over what was noted for both sides.
    pub(super) fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// One line for each.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// What to do about keys without a counterpart.
pub(super) const SEE: &str = "see docs/migration.md, or leave it out";
