//! Taking one setting at a time from flag or file, with its place for errors.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use anyproxy_wire::handshake::Secret;
use toml::Spanned;

use super::{
    Outside, Warning,
    outside::{LONGEST_SECRET, secret_from_bytes},
};
use crate::config::{
    ConfigError, Place, Problem, Source, exposure::exposed_mode, raw::Text, read_bytes,
};

/// The largest certificate or key file, in bytes.
const LARGEST_PEM: u64 = 1 << 20;

/// The least length of a secret that is checked by a keyed hash: 128 bits in base64.
///
/// Such a hash can be searched fast, so it must not stand for something that can be guessed.
const LEAST_SECRET: usize = 22;

/// The least length of a proxy user's password (NIST SP 800-63B, 3.1.1.2).
const LEAST_PASSWORD: usize = 8;

/// Where a value came from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// A place in the configuration file.
    Span(Range<usize>),
    /// A flag or its environment variable.
    Flag(&'static str),
}

/// A value, and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// Which rule a secret must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strength {
    /// Generated: 128 bits or more.
    Generated,
    /// A person's choice, kept by us in a file.
    Password,
    /// A person's choice, which another program checks.
    Any,
}

/// The configuration file, the world outside, and the warnings so far.
pub(super) struct Input<'a> {
    pub(super) source: Option<Source>,
    pub(super) outside: &'a mut dyn Outside,
    pub(super) warnings: Vec<Warning>,
}

impl<'a> Input<'a> {
    /// Reads the configuration file, if there is one.
    pub(super) fn open(
        config: Option<&Path>,
        outside: &'a mut dyn Outside,
    ) -> Result<Self, ConfigError> {
        let source = config.map(Source::read).transpose()?;
        Ok(Self { source, outside, warnings: Vec::new() })
    }

    /// Parses the file, or gives the empty one.
    pub(super) fn parse<T: serde::de::DeserializeOwned + Default>(&self) -> Result<T, ConfigError> {
        self.source.as_ref().map_or_else(|| Ok(T::default()), Source::parse)
    }

    /// `problem`, found at `origin`.
    pub(super) fn error(&self, origin: &Origin, problem: Problem) -> ConfigError {
        let place = match (origin, &self.source) {
            (Origin::Span(span), Some(source)) => Place::Line(source.place(span)),
            (Origin::Span(_), None) => Place::Start,
            (Origin::Flag(name), _) => Place::Flag(name),
        };
        ConfigError::new(place, problem)
    }

    /// `problem`, found at the text.
    pub(super) fn error_at<T>(&self, raw: &Spanned<T>, problem: Problem) -> ConfigError {
        self.error(&Origin::Span(raw.span()), problem)
    }

    /// `problem` of the configuration as a whole.
    pub(super) fn error_whole(&self, problem: Problem) -> ConfigError {
        let place = match &self.source {
            Some(source) => Place::File(source.path().into()),
            None => Place::Start,
        };
        ConfigError::new(place, problem)
    }

    /// Reads a text of the file.
    pub(super) fn read<T>(
        &self,
        raw: &Text,
        reader: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<T, ConfigError> {
        reader(raw.get_ref()).map_err(|problem| self.error_at(raw, problem))
    }

    /// The flag's value, or the file's text as `reader` understands it.
    pub(super) fn pick<T>(
        &self,
        flag: Option<T>,
        raw: Option<&Text>,
        reader: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<Option<T>, ConfigError> {
        match (flag, raw) {
            (Some(value), _) => Ok(Some(value)),
            (None, Some(raw)) => self.read(raw, reader).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The flag's path, which is relative to the current directory, or the file's, which is
    /// relative to the file's directory.
    pub(super) fn pick_path(
        &self,
        flag: Option<(&'static str, &Path)>,
        raw: Option<&Text>,
    ) -> Option<Given<PathBuf>> {
        match (flag, raw) {
            (Some((name, path)), _) => {
                Some(Given { value: path.into(), origin: Origin::Flag(name) })
            }
            (None, Some(raw)) => Some(self.path(raw)),
            (None, None) => None,
        }
    }

    /// A path that the file names.
    pub(super) fn path(&self, raw: &Text) -> Given<PathBuf> {
        let path = raw.get_ref();
        let value = self.source.as_ref().map_or_else(|| path.into(), |source| source.resolve(path));
        Given { value, origin: Origin::Span(raw.span()) }
    }

    /// A whole number of the file that must be within `range`.
    pub(super) fn number(
        &self,
        raw: &Spanned<i64>,
        (range, words): (std::ops::RangeInclusive<usize>, &'static str),
    ) -> Result<usize, ConfigError> {
        usize::try_from(*raw.get_ref()).ok().filter(|number| range.contains(number)).ok_or_else(
            || {
                let text = raw.get_ref().to_string();
                self.error_at(raw, Problem::OutOfRange { text, range: words })
            },
        )
    }

    /// Reads a PEM file.
    pub(super) fn read_pem(&self, path: &Given<PathBuf>) -> Result<Vec<u8>, ConfigError> {
        read_bytes(&path.value, LARGEST_PEM).map_err(|problem| self.error(&path.origin, problem))
    }

    /// Notes that others can read a file that holds a secret.
    pub(super) fn note_open(&mut self, path: &Path) {
        if let Some(mode) = exposed_mode(path) {
            self.warnings.push(Warning::OpenFile { path: path.into(), mode });
        }
    }

    /// Reads a secret from a file.
    pub(super) fn secret_file(
        &mut self,
        path: &Given<PathBuf>,
        strength: Strength,
    ) -> Result<Secret, ConfigError> {
        let origin = path.value.display().to_string();
        let secret = read_bytes(&path.value, LONGEST_SECRET)
            .and_then(|bytes| secret_from_bytes(bytes, &origin))
            .and_then(|secret| strength.check(secret, &origin))
            .map_err(|problem| self.error(&path.origin, problem))?;
        self.note_open(&path.value);
        Ok(secret)
    }

    /// Takes the secret of `ANYPROXY_SECRET`, if it is set.
    pub(super) fn secret_variable(
        &self,
        strength: Strength,
    ) -> Result<Option<Secret>, ConfigError> {
        let name = super::outside::SECRET_VARIABLE;
        let check = |bytes| secret_from_bytes(bytes, name).and_then(|s| strength.check(s, name));
        self.outside
            .secret_variable()
            .map(check)
            .transpose()
            .map_err(|problem| ConfigError::new(Place::Start, problem))
    }

    /// Reads a secret from standard input.
    pub(super) fn secret_input(&mut self, strength: Strength) -> Result<Secret, ConfigError> {
        let origin = "standard input";
        self.outside
            .standard_input()
            .map_err(|cause| Problem::Unreadable { path: origin.into(), cause })
            .and_then(|bytes| secret_from_bytes(bytes, origin))
            .and_then(|secret| strength.check(secret, origin))
            .map_err(|problem| ConfigError::new(Place::Start, problem))
    }
}

impl Strength {
    pub(crate) fn check(self, secret: Secret, origin: &str) -> Result<Secret, Problem> {
        let least = match self {
            Self::Generated => LEAST_SECRET,
            Self::Password => LEAST_PASSWORD,
            Self::Any => 1,
        };
        let length = secret.expose().len();
        if length >= least {
            return Ok(secret);
        }
        Err(Problem::Weak { what: format!("the secret of {origin}"), length, least })
    }
}
