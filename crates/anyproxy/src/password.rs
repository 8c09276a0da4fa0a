//! `anyproxy hash-password`: secrets, and what a gateway keeps to check them.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write};

use anyproxy_wire::handshake::{Secret, Verifier};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, phc::PasswordHash},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    cli::HashPasswordArgs,
    config::Problem,
    groups::Credential,
    settings::{READ_FOR_SECRET, Strength, secret_from_bytes},
};

/// The cost of a hash: 19 MiB and two passes, the first choice of the OWASP Password Storage Cheat Sheet
/// for machines that serve other things too. (RFC 9106 asks for 64 MiB at the least, which would
/// let a few log-ins at once take a small gateway's memory.)
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Why no hash or secret could be made.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// What was typed will not do.
    #[error(transparent)]
    Input(#[from] Problem),
    /// What was typed the second time differs from the first.
    #[error("the two passwords differ")]
    Differ,
    /// The terminal or standard input failed.
    #[error("cannot read from the terminal or standard input")]
    Read(#[source] io::Error),
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The hash function failed.
    #[error("cannot hash: {0}")]
    Hash(String),
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

/// Reads or generates a secret, and prints what the gateway's configuration needs.
///
/// # Errors
///
/// See [`PasswordError`].
pub(crate) fn run(args: &HashPasswordArgs, out: &mut dyn Write) -> Result<(), PasswordError> {
    if args.generate {
        let secret = generate_secret()?;
        let verifier = Verifier::from_secret(&Secret::new(secret.as_bytes())).to_text();
        return writeln!(
            out,
            "secret   (for the clients): {}\nverifier (for the gateway, secret_hash): {verifier}",
            *secret
        )
        .map_err(PasswordError::Output);
    }
    let strength = if args.verifier { Strength::Generated } else { Strength::Password };
    let secret = strength.check(read_secret()?, "standard input")?;
    let line = if args.verifier {
        Verifier::from_secret(&secret).to_text()
    } else {
        hash(secret.expose())?
    };
    writeln!(out, "{line}").map_err(PasswordError::Output)
}

/// Generates a secret: 256 random bits, base64url without padding (43 characters).
///
/// # Errors
///
/// When the system gives no random bytes.
pub(crate) fn generate_secret() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// Hashes a password with Argon2id and a random salt, in PHC form.
///
/// # Errors
///
/// [`PasswordError::Hash`].
pub(crate) fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let failed = |error: &dyn std::fmt::Display| PasswordError::Hash(error.to_string());
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| failed(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon2.hash_password(password).map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}

/// Reads a password that a person chose, and makes what a gateway keeps of it.
///
/// # Errors
///
/// When it is too short, or the two that were typed differ.
pub(crate) fn read_password() -> Result<Credential, PasswordError> {
    let password = Strength::Password.check(read_secret()?, "standard input")?;
    Ok(Credential::of_password(&password)?)
}

/// Reads one line: from a terminal twice and without echo, from anything else as it is.
fn read_secret() -> Result<Secret, PasswordError> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        let mut bytes = Vec::new();
        stdin.lock().take(READ_FOR_SECRET).read_to_end(&mut bytes).map_err(PasswordError::Read)?;
        return Ok(secret_from_bytes(bytes, "standard input")?);
    }
    let first = ask("Password: ").map_err(PasswordError::Read)?;
    let second = ask("Once more: ").map_err(PasswordError::Read)?;
    if *first != *second {
        return Err(PasswordError::Differ);
    }
    Ok(secret_from_bytes(first.to_vec(), "the terminal")?)
}

fn ask(prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut screen = io::stderr();
    write!(screen, "{prompt}")?;
    screen.flush()?;
    let mut line = Zeroizing::new(Vec::new());
    {
        let _quiet = Quiet::start()?;
        io::stdin().lock().take(READ_FOR_SECRET).read_until(b'\n', &mut line)?;
    }
    writeln!(screen)?;
    Ok(line)
}

/// Keeps the terminal from echoing while it lives.
#[cfg(unix)]
struct Quiet(rustix::termios::Termios);

#[cfg(unix)]
impl Quiet {
    fn start() -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // If it fails the terminal is gone, and nobody is left to tell.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Other systems echo; the documentation says to pipe the password in.
#[cfg(not(unix))]
struct Quiet;

#[cfg(not(unix))]
impl Quiet {
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
    fn start() -> io::Result<Self> {
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier as _;

    use super::*;

    #[test]
    fn a_hash_verifies_its_password_only() {
        let text = hash(b"correct horse").unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        let parsed = PasswordHash::new(&text).unwrap();
        assert!(Argon2::default().verify_password(b"correct horse", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"correct horsf", &parsed).is_err());
        assert_ne!(hash(b"correct horse").unwrap(), text, "the salt is random");
    }

    #[test]
    fn generated_secrets_are_256_bits_and_differ() {
        let (a, b) = (generate_secret().unwrap(), generate_secret().unwrap());
        assert_eq!(URL_SAFE_NO_PAD.decode(a.as_bytes()).unwrap().len(), 32);
        assert_ne!(*a, *b);
    }

    #[test]
    fn generate_prints_a_secret_and_its_verifier() {
        let mut out = Vec::new();
        run(&HashPasswordArgs { generate: true, verifier: false }, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let words: Vec<_> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        let &[secret, verifier] = words.as_slice() else { panic!("{text}") };
        assert_eq!(Verifier::from_secret(&Secret::new(secret)).to_text(), verifier);
    }
}
