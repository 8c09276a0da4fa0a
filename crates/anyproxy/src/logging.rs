//! The log: text or JSON, to standard error or to a file that is rotated.
//!
//! Lines are written by a thread of their own from a bounded queue, so that a full disk or a
//! terminal that is held stops no connection; what the queue cannot take is lost. It holds 8192 lines: a
//! second of a loud debug log, while its memory is there from the start, 32 bytes a line in every process. The
//! 128,000 lines that `tracing-appender` has by itself are 4 MB of that.
//!
//! The directory of a log file has to be there. One that is made along the way hides a path that is mistyped.

mod keep;

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyproxy_admin::Recent;
use thiserror::Error;
use tracing_appender::{
    non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard},
    rolling::{RollingFileAppender, Rotation},
};
use tracing_subscriber::{
    EnvFilter, Layer as _, layer::SubscriberExt as _, registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    settings::{LogOutput, LogSettings},
    values::{LogFormat, LogRotation},
};

/// Lines that wait for the thread that writes them.
const MOST_WAITING: usize = 8192;

/// Why the log could not be started.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file cannot be written.
    #[error("cannot log to {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: tracing_appender::rolling::InitError,
    },
    /// The directory of the file is not there.
    #[error("cannot log to {}: there is no directory {}", path.display(), directory.display())]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
    },
    /// The path names no file.
    #[error("cannot log to {}: it names no file", .0.display())]
    NoFile(PathBuf),
    /// The filter, which was checked before, is malformed.
    #[error("malformed log filter")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// A log was started before.
    #[error("the log was already started")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

impl LogError {
    /// What a person can do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::File { .. } | Self::NoFile(_) => {
                "name a file in a directory that the user of anyproxy can write to".into()
            }
            Self::NoDirectory { .. } => {
                "make the directory, which the user of anyproxy can write to, or name another"
                    .into()
            }
            Self::Filter(_) => "use a level such as \"info\"".into(),
            Self::Twice(_) => "start one service in a process".into(),
        }
    }
}

/// Keeps the log going; writes what is queued when dropped.
#[derive(Debug)]
#[must_use = "the log ends when this is dropped"]
pub(crate) struct LogGuard {
    _worker: WorkerGuard,
}

/// Starts the log of this process; its latest warnings are kept in `recent`.
///
/// # Errors
///
/// See [`LogError`].
pub(crate) fn start(settings: &LogSettings, recent: &Arc<Recent>) -> Result<LogGuard, LogError> {
    let (writer, worker) = match &settings.output {
        LogOutput::Stderr => queue().finish(io::stderr()),
        LogOutput::File { path, rotation, keep } => {
            queue().finish(rolling(path, *rotation, *keep)?)
        }
    };
    subscriber(settings, writer)?.with(keep::layer(Arc::clone(recent))).try_init()?;
    Ok(LogGuard { _worker: worker })
}

/// The queue of the thread that writes; what it cannot take is lost.
fn queue() -> NonBlockingBuilder {
    NonBlockingBuilder::default().buffered_lines_limit(MOST_WAITING)
}

/// A subscriber that writes what the settings ask for to `writer`.
///
/// # Errors
///
/// [`LogError::Filter`].
fn subscriber(
    settings: &LogSettings,
    writer: NonBlocking,
) -> Result<
    impl tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync + 'static + use<>,
    LogError,
> {
    let filter = EnvFilter::try_new(&settings.filter)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer = match settings.format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.with_ansi(is_coloured(&settings.output)).boxed(),
    };
    Ok(tracing_subscriber::registry().with(layer.with_filter(filter)))
}

/// Colours are for terminals, unless the person does not want them (<https://no-color.org>).
fn is_coloured(output: &LogOutput) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    *output == LogOutput::Stderr && io::stderr().is_terminal() && !unwanted
}

/// A file that is followed by a new one in time: `anyproxy.2030-01-31.log` for `anyproxy.log`.
fn rolling(
    path: &Path,
    rotation: LogRotation,
    keep: usize,
) -> Result<RollingFileAppender, LogError> {
    let no_file = || LogError::NoFile(path.into());
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    // The library would take a directory for the beginning of a name.
    if path.is_dir() {
        return Err(no_file());
    }
    if !directory.is_dir() {
        return Err(LogError::NoDirectory { path: path.into(), directory: directory.into() });
    }
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(no_file)?;
    let builder = RollingFileAppender::builder();
    let builder = match (rotation, name.rsplit_once('.')) {
        (LogRotation::Never, _) => builder.rotation(Rotation::NEVER).filename_prefix(name),
        (rotation, Some((stem, extension))) if !stem.is_empty() => builder
            .rotation(period(rotation))
            .filename_prefix(stem)
            .filename_suffix(extension)
            .max_log_files(keep),
        (rotation, _) => {
            builder.rotation(period(rotation)).filename_prefix(name).max_log_files(keep)
        }
    };
    builder.build(directory).map_err(|cause| LogError::File { path: path.into(), cause })
}

fn period(rotation: LogRotation) -> Rotation {
    match rotation {
        LogRotation::Hourly => Rotation::HOURLY,
        LogRotation::Daily => Rotation::DAILY,
        LogRotation::Never => Rotation::NEVER,
    }
}

#[cfg(test)]
mod tests;
