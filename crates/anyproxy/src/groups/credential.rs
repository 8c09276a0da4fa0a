//! What a gateway keeps to check a secret or a password.

use std::fmt;

use anyproxy_wire::handshake::{Secret, Verifier};
use argon2::password_hash::phc;

use crate::config::Problem;

/// How the lines of a [`Verifier`] start.
const VERIFIER: &str = "anyproxy1:";

/// How Argon2id hashes start.
const ARGON2ID: &str = "$argon2id$";

/// The most memory that a hash may ask for, in KiB (64 MiB), the most passes over it, and lanes.
///
/// A hash costs that at each check, and the gateway keeps memory for two at once: a dear one must
/// not stop it, and it refuses to run a dearer one.
const MOST_MEMORY: u32 = 64 * 1024;
const MOST_PASSES: u32 = 4;
const MOST_LANES: u32 = 4;

/// What a secret or a password is checked with.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A keyed hash, for generated secrets. Checking it takes microseconds.
    Verifier(Verifier),
    /// An Argon2id hash, for passwords that people chose. Checking it takes tens of milliseconds.
    Password(PasswordHash),
}

impl Credential {
    /// What a gateway keeps of `secret`.
    #[must_use]
    pub fn of(secret: &Secret) -> Self {
        Self::Verifier(Verifier::from_secret(secret))
    }

    /// What a gateway keeps of a password that a person chose: a hash of its own making, so that it is
    /// checked like one that was given as a hash, slowly and with back-off.
    ///
    /// # Errors
    ///
    /// [`Problem::Refused`] when the system gives no random bytes or memory for the hash.
    pub fn of_password(password: &Secret) -> Result<Self, Problem> {
        let hash = crate::password::hash(password.expose()).map_err(|error| Problem::Refused {
            what: format!("the password cannot be hashed: {error}"),
            fix: "hash it elsewhere with `anyproxy hash-password` and use `password_hash`".into(),
        })?;
        Ok(Self::Password(PasswordHash(hash)))
    }

    /// What [`from_hash`](Self::from_hash) reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Verifier(verifier) => verifier.to_text(),
            Self::Password(hash) => hash.0.clone(),
        }
    }

    /// Reads `anyproxy1:…` or `$argon2id$…`, as `anyproxy hash-password` prints them.
    ///
    /// # Errors
    ///
    /// [`Problem::Refused`], which does not repeat the text.
    pub fn from_hash(text: &str) -> Result<Self, Problem> {
        if text.starts_with(VERIFIER) {
            let verifier = Verifier::from_text(text).map_err(|_| malformed())?;
            return Ok(Self::Verifier(verifier));
        }
        PasswordHash::parse(text).map(Self::Password)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verifier(_) => "Verifier(..)",
            Self::Password(_) => "Password(..)",
        })
    }
}

/// An Argon2id hash in PHC form, known to be well-formed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    fn parse(text: &str) -> Result<Self, Problem> {
        let parsed = phc::PasswordHash::new(text).ok().filter(|_| text.starts_with(ARGON2ID));
        let parsed = parsed.ok_or_else(malformed)?;
        let params = argon2::Params::try_from(&parsed).map_err(|_| malformed())?;
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(malformed());
        }
        if params.m_cost() > MOST_MEMORY
            || params.t_cost() > MOST_PASSES
            || params.p_cost() > MOST_LANES
        {
            return Err(Problem::Refused {
                what: "the hash asks for more than 64 MiB, 4 passes or 4 lanes at each check"
                    .into(),
                fix: "make another: anyproxy hash-password".into(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// The PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

fn malformed() -> Problem {
    Problem::Refused {
        what: "this is no hash that anyproxy knows".into(),
        fix: "paste what `anyproxy hash-password` prints: `$argon2id$…` or `anyproxy1:…`".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21l$\
                        4yTPBAtTnmvb4zNh2yQKQrkzMmFUbLRBnOONhTSCWFk";

    #[test]
    fn both_kinds_are_read() {
        assert!(matches!(Credential::from_hash(HASH), Ok(Credential::Password(_))));
        let text = Verifier::from_secret(&Secret::new("s")).to_text();
        assert!(matches!(Credential::from_hash(&text), Ok(Credential::Verifier(_))));
        for text in [HASH, &text] {
            assert_eq!(Credential::from_hash(text).unwrap().to_text(), text);
        }
    }

    #[test]
    fn a_hash_may_ask_for_64_mib_4_passes_and_4_lanes() {
        let dear = HASH.replace("m=19456,t=2,p=1", "m=65536,t=4,p=4");
        assert!(matches!(Credential::from_hash(&dear), Ok(Credential::Password(_))));
        let error = Credential::from_hash(&dear.replace("t=4", "t=5")).unwrap_err();
        assert!(error.to_string().contains("64 MiB, 4 passes or 4 lanes"), "{error}");
    }

    #[test]
    fn other_texts_are_refused_and_not_repeated() {
        for text in [
            "hunter2",
            "",
            "anyproxy1:hunter2",
            "$argon2id$hunter2",
            "$argon2id$v=19$m=19456,t=2,p=1$hunter2",
            &HASH.replace("argon2id", "argon2i"),
            &HASH.replace("m=19456", "m=65537"),
            &HASH.replace("t=2", "t=5"),
            &HASH.replace("p=1", "p=5"),
            "$2y$10$hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter",
        ] {
            let error = Credential::from_hash(text).unwrap_err();
            assert!(matches!(error, Problem::Refused { .. }), "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
