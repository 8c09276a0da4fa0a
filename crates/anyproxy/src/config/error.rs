//! A problem with a setting, and where it was found.

use std::{error::Error, fmt, path::PathBuf};

use super::{Excerpt, Problem};

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of a configuration file.
    Line(Excerpt),
    /// A configuration file as a whole.
    File(PathBuf),
    /// A flag, or the environment variable that stands for it.
    Flag(&'static str),
    /// No one place.
    Start,
}

/// A setting with which the program cannot start.
#[derive(Debug)]
pub struct ConfigError {
    place: Place,
    // Boxed, because it is large and errors are moved through every reader of a setting.
    problem: Box<Problem>,
}

impl ConfigError {
    /// `problem`, found at `place`.
    #[must_use]
    pub fn new(place: Place, problem: Problem) -> Self {
        Self { place, problem: Box::new(problem) }
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The line that is meant, with a caret, if the problem is in a file. A secret is hidden.
    #[must_use]
    pub fn excerpt(&self) -> Option<String> {
        match &self.place {
            Place::Line(excerpt) => Some(excerpt.to_string()),
            Place::File(_) | Place::Flag(_) | Place::Start => None,
        }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        self.problem.fix()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(excerpt) => write!(f, "{}: {}", excerpt.location(), self.problem),
            Place::File(path) => write!(f, "{}: {}", path.display(), self.problem),
            Place::Flag(name) => write!(f, "{name}: {}", self.problem),
            Place::Start => self.problem.fmt(f),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}
