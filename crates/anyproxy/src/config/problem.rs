//! What can be wrong with a setting, and what to do about it.

use std::{io, path::PathBuf};

use thiserror::Error;

/// How alike two words must be (Jaro-Winkler, 0 to 1) for one to be offered for the other.
const ALIKE: f64 = 0.8;

/// What is wrong with a setting; [`Problem::fix`] says what to do.
#[derive(Debug, Error)]
pub enum Problem {
    /// The file is no TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that no setting has.
    #[error("unknown key `{key}`")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The keys there are in that table.
        known: Vec<String>,
    },
    /// A table lacks a key that it needs.
    #[error("the key `{0}` is missing")]
    MissingKey(String),
    /// A value of another TOML type than expected.
    #[error("{0}")]
    WrongType(String),
    /// A text that cannot be read as what the setting is.
    #[error("`{text}` is not {expected}")]
    NotA {
        /// The text as written.
        text: String,
        /// What the setting is, with an article.
        expected: &'static str,
        /// A right value.
        example: &'static str,
    },
    /// A word that is none of those there are.
    #[error("`{text}` is not one of {}", .choices.join(", "))]
    NoSuchChoice {
        /// The word as written.
        text: String,
        /// The words there are.
        choices: Vec<String>,
    },
    /// A number, duration or size that is too small or too large.
    #[error("`{text}` is out of range")]
    OutOfRange {
        /// The value as written.
        text: String,
        /// The range, such as "at most 365d".
        range: &'static str,
    },
    /// Something that must be given was given nowhere.
    #[error("{what}")]
    Missing {
        /// What is missing, as a sentence.
        what: &'static str,
        /// How to give it.
        fix: &'static str,
    },
    /// Two keys of which only one may be given.
    #[error("`{0}` and `{1}` exclude each other")]
    Exclusive(&'static str, &'static str),
    /// Two tables that share a name or an address.
    #[error("{what} `{name}` is defined twice")]
    Duplicate {
        /// What is defined twice, with an article.
        what: &'static str,
        /// The name that they share.
        name: String,
    },
    /// A secret written into the configuration.
    #[error("a secret does not belong in a configuration file")]
    InlineSecret,
    /// A secret that could be guessed.
    #[error("{what} is too short: {length} characters, at least {least} are needed")]
    Weak {
        /// Which secret, without its text.
        what: String,
        /// Its length in characters.
        length: usize,
        /// The least length.
        least: usize,
    },
    /// A file that cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A file that was read and does not hold what it should.
    #[error("{}: {what}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        what: String,
        /// What to do.
        fix: String,
    },
    /// A value that another part of the program refuses.
    #[error("{what}")]
    Refused {
        /// Why.
        what: String,
        /// What to do.
        fix: String,
    },
}

impl Problem {
    /// What a person can do about it, in one sentence, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Syntax(_) => None,
            Self::UnknownKey { key, known } => Some(nearest(key, known)),
            Self::MissingKey(key) => Some(format!("add `{key} = …` to this table")),
            Self::WrongType(message) => type_fix(message).map(str::to_owned),
            Self::NotA { example, .. } => Some(format!("for example {example}")),
            Self::NoSuchChoice { text, choices } => Some(nearest(text, choices)),
            Self::OutOfRange { range, .. } => Some(format!("use {range}")),
            Self::Missing { fix, .. } => Some((*fix).to_owned()),
            Self::Exclusive(first, second) => Some(format!("keep `{first}` or `{second}`")),
            Self::Duplicate { .. } => Some("rename or remove one of them".to_owned()),
            Self::InlineSecret => Some(
                "put it into a file of mode 0600 and name that file with `secret_file`, or set \
                 ANYPROXY_SECRET, or write `secret = \"-\"` to read it from standard input; then \
                 replace it, since it was stored in the open"
                    .to_owned(),
            ),
            Self::Weak { .. } => Some(
                "generate one with `anyproxy hash-password --generate`; for a password that a \
                 person chose, use `method = \"password\"` and `secret_hash`"
                    .to_owned(),
            ),
            Self::Unreadable { path, cause } => Some(unreadable_fix(path, cause)),
            Self::BadFile { fix, .. } | Self::Refused { fix, .. } => Some(fix.clone()),
        }
    }
}

/// Offers the known word that is most like `word`, or lists all of them.
fn nearest(word: &str, known: &[String]) -> String {
    // Whoever writes a secret into the file wants to hear of the key that names one.
    let file = format!("{word}_file");
    if known.contains(&file) {
        return format!("did you mean `{file}`? A secret does not belong in a configuration file");
    }
    let likeness = |candidate: &str| strsim::jaro_winkler(word, candidate);
    known
        .iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(
            || format!("use one of {}", known.join(", ")),
            |(_, candidate)| format!("did you mean `{candidate}`?"),
        )
}

fn type_fix(message: &str) -> Option<&'static str> {
    if message.ends_with("expected a string") {
        Some("put the value in quotes, numbers with their unit: \"10s\", \"256MiB\"")
    } else if message.ends_with("expected a sequence") {
        Some("write a list, `[…]`, or for groups and forwards a table, `[[…]]`")
    } else {
        None
    }
}

fn unreadable_fix(path: &std::path::Path, cause: &io::Error) -> String {
    let path = path.display();
    if cause.kind() == io::ErrorKind::NotFound {
        let made_by_certs = path.to_string();
        let made_by_certs =
            [".crt", ".key", ".secret"].iter().any(|ending| made_by_certs.ends_with(ending));
        return if made_by_certs {
            format!("run `anyproxy certs` (or `make certs`), or correct the path {path}")
        } else {
            "correct the path".to_owned()
        };
    }
    if cause.kind() == io::ErrorKind::PermissionDenied {
        return format!("let the user that runs anyproxy read it: `chown` it, `chmod 600 {path}`");
    }
    format!("check {path}")
}
