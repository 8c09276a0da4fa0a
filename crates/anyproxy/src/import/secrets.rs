//! Secrets of a foreign configuration: each goes to a private file of its own, none into the TOML.
//!
//! The other programs take any text as a secret. Here what is proven by a keyed hash has 128 bits, since such a hash can
//! be searched fast; what a person chose is sent to the verified gateway, which keeps an Argon2id hash
//! (docs/configuration.md). So a secret of 22 characters and more stays one, a shorter one becomes a password, and one
//! below 8 characters, which can be guessed, is replaced.

use zeroize::Zeroizing;

use super::{ImportError, draft::Proof, notes::Notes};
use crate::password::{self, PasswordError};

/// The least length of what is proven without being sent, and of a password, in bytes.
const GENERATED: usize = 22;
const PASSWORD: usize = 8;

/// Private files that are to be written.
#[derive(Default)]
pub(super) struct Secrets {
    files: Vec<(String, Zeroizing<String>)>,
    /// Secrets that were made up, with what they are for.
    made: Vec<(String, String)>,
}

/// How a group's secret is proven and kept.
pub(super) struct Tunnel {
    pub(super) proof: Proof,
    pub(super) method: Option<&'static str>,
}

/// Whose file needs the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Gateway,
    Client,
}

impl Secrets {
    /// The files: names and contents.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// What the clients of `group` prove, of the foreign secret at `key`.
    pub(super) fn tunnel(
        &mut self,
        (side, group): (Side, &str),
        (key, given): (&str, Option<String>),
        notes: &mut Notes,
    ) -> Result<Tunnel, ImportError> {
        let given = given.filter(|text| is_line(text)).map(Zeroizing::new);
        let name = format!("{group}.secret");
        let (proof, method) = match given {
            Some(text) if text.len() >= GENERATED => (Proof::File(self.add(&name, text)), None),
            Some(text) if text.len() >= PASSWORD => {
                let proof = match side {
                    Side::Gateway => Proof::Hash(password::hash(text.as_bytes())?),
                    Side::Client => Proof::File(self.add(&name, text)),
                };
                (proof, Some("password"))
            }
            Some(_) | None => {
                let why = "it is absent, or has less than 8 characters and can be guessed, so \
                           another secret was made";
                let then = match side {
                    Side::Gateway => format!("give the clients {name}"),
                    Side::Client => format!("replace {name} by the gateway's"),
                };
                notes.add(key, why, &then);
                (Proof::File(self.make(&name)?), None)
            }
        };
        Ok(Tunnel { proof, method })
    }

    /// A file with a user's password, of the foreign one at `key`.
    pub(super) fn password(
        &mut self,
        user: &str,
        (key, given): (&str, Option<String>),
        notes: &mut Notes,
    ) -> Result<String, ImportError> {
        let name = format!("{user}.password");
        match given.filter(|text| text.len() >= PASSWORD && is_line(text)) {
            Some(text) => Ok(self.add(&name, Zeroizing::new(text))),
            None => {
                let why = "it is absent, or has less than 8 characters and can be guessed, so \
                           another password was made";
                notes.add(key, why, &format!("tell the user what is in {name}"));
                self.make(&name)
            }
        }
    }

    /// A file with `text`, called `name` unless that has another text.
    pub(super) fn add(&mut self, name: &str, text: Zeroizing<String>) -> String {
        let same = self.files.iter().find(|(_, other)| **other == *text);
        if let Some((other, _)) = same.filter(|(other, _)| other == name) {
            return other.clone();
        }
        let is_free = |name: &String| self.files.iter().all(|(other, _)| other != name);
        let numbered = (2..).map(|number| format!("{number}-{name}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let free = names.find(is_free).unwrap_or_else(|| name.to_owned());
        self.files.push((free.clone(), text));
        free
    }

    fn make(&mut self, name: &str) -> Result<String, ImportError> {
        if let Some((_, file)) = self.made.iter().find(|(made, _)| made == name) {
            return Ok(file.clone());
        }
        let file = self.add(name, password::generate_secret().map_err(PasswordError::from)?);
        self.made.push((name.into(), file.clone()));
        Ok(file)
    }
}

fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
