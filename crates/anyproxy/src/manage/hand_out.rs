//! Handing a generated secret to a person: once, and to nobody else.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::ManageError;
use crate::{cli::SecretOutArgs, password::PasswordError};

/// Where a secret goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The terminal, for a person to copy.
    Screen,
    /// Standard output, because somebody asked for that: nothing else goes there then.
    Output,
    /// A new private file.
    File(PathBuf),
}

impl Place {
    /// The place that the flag names, or the terminal.
    ///
    /// # Errors
    ///
    /// [`ManageError::NoPlace`]: what is no terminal may be a log.
    pub(super) fn choose(args: &SecretOutArgs) -> Result<Self, ManageError> {
        match &args.secret_out {
            Some(path) if path == Path::new("-") => Ok(Self::Output),
            Some(path) => Ok(Self::File(path.clone())),
            None if io::stdout().is_terminal() => Ok(Self::Screen),
            None => Err(ManageError::NoPlace),
        }
    }

    /// Generates a secret, lets `keep` store what checks it, and hands it out. When `keep` fails, no file
    /// is left; when the secret cannot be shown, the error names the command that makes another, `again`.
    pub(super) fn hand_out<T>(
        &self,
        out: &mut dyn Write,
        again: &str,
        keep: impl FnOnce(&str) -> Result<T, ManageError>,
    ) -> Result<T, ManageError> {
        let secret = crate::password::generate_secret().map_err(PasswordError::from)?;
        let line = Zeroizing::new(format!("secret (shown this once): {}", *secret));
        self.hand_over(out, (&secret, &line), again, || keep(&secret))
    }

    /// The same with a secret that is there; a person on a terminal is shown `line`.
    pub(super) fn hand_over<T>(
        &self,
        out: &mut dyn Write,
        (secret, line): (&str, &str),
        again: &str,
        keep: impl FnOnce() -> Result<T, ManageError>,
    ) -> Result<T, ManageError> {
        // The file first: a group whose secret nobody has would be of no use.
        if let Self::File(path) = self {
            write_private(path, secret)?;
        }
        let kept = keep();
        let lost = |cause| ManageError::Lost { again: again.into(), cause };
        match (self, &kept) {
            (Self::File(path), Err(_)) => {
                // It is of no use, and harmless if it stays.
                let _stays = fs::remove_file(path);
            }
            (Self::Screen, Ok(_)) => {
                show(out, format_args!("{line}")).map_err(lost)?;
            }
            (Self::Output, Ok(_)) => {
                show(out, format_args!("{secret}")).map_err(lost)?;
            }
            (Self::File(_), Ok(_)) | (Self::Screen | Self::Output, Err(_)) => {}
        }
        kept
    }

    /// Tells a person something, beside the secret.
    pub(super) fn tell(&self, out: &mut dyn Write, text: &str) -> Result<(), ManageError> {
        match self {
            Self::Output => writeln!(io::stderr(), "{text}"),
            Self::Screen | Self::File(_) => writeln!(out, "{text}"),
        }
        .map_err(ManageError::Output)
    }
}

/// Writes a line, and makes sure that it is out.
fn show(out: &mut dyn Write, line: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes a file that must not be there yet, and that nobody else may read even while it is written.
fn write_private(path: &Path, secret: &str) -> Result<(), ManageError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let line = Zeroizing::new(format!("{secret}\n"));
    options
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|cause| {
            if cause.kind() == io::ErrorKind::AlreadyExists {
                ManageError::FileExists(path.into())
            } else {
                ManageError::Write { path: path.into(), cause }
            }
        })
}
