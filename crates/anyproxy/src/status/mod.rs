//! `anyproxy status`: what the processes that run here tell about themselves.
//!
//! ```text
//! sockets ─▶ ask all ─ half a second ─▶ ask all again ─▶ throughput ─▶ table or JSON ─┐
//!               ▲                                                                    │
//!               └───────────────────────── --watch ──────────────────────────────────┘
//! ```

mod frame;
mod rates;
mod table;

use std::{
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyproxy_admin::{AskError, Status};
use anyproxy_runtime::Deadline;
use futures_util::future::join_all;
use thiserror::Error;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    admin::{Found, found},
    cli::StatusArgs,
    values::StatusSocket,
};

/// How long a process may take to answer.
const WITHIN: Duration = Duration::from_secs(5);
/// Between the two answers from which throughput is worked out.
const APART: Duration = Duration::from_millis(500);
/// How often the view is renewed.
const PERIOD: Duration = Duration::from_secs(1);

/// Why there is nothing to show.
#[derive(Debug, Error)]
pub enum StatusError {
    /// No process was found.
    #[error("no gateway or client of this user runs here")]
    Nobody,
    /// A person said that there is none.
    #[error("the status socket is switched off: `off` is no path")]
    Off,
    /// Only directories of other users have sockets.
    #[error("{} is another user's, or others can write to it, so what answers there is not believed", .0.display())]
    Foreign(PathBuf),
    /// One that was named does not answer.
    #[error("nobody answers at the status socket {}", path.display())]
    Silent {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: SilentError,
    },
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// It cannot be written as JSON.
    #[error("cannot write the status as JSON")]
    Json(#[from] serde_json::Error),
}

/// Why a process does not answer.
#[derive(Debug, Error)]
pub enum SilentError {
    /// The socket cannot be connected to.
    #[error(transparent)]
    Connect(#[from] io::Error),
    /// The process says something else.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// It says nothing.
    #[error("no answer within {WITHIN:?}")]
    Slow,
}

impl StatusError {
    /// What a person can do about it.
    #[must_use]
    pub fn fix(&self) -> String {
        match self {
            Self::Nobody | Self::Silent { .. } => {
                "start one, run this as its user, or name its socket with --socket PATH: the log of a \
                 process has it as \"status socket open\""
            }
            Self::Off => {
                "unset ANYPROXY_STATUS_SOCKET to ask everybody who runs here, or name a socket with \
                 --socket PATH; a process has none while its own `status_socket` is \"off\""
            }
            Self::Foreign(_) => {
                "run this as that user, or set XDG_RUNTIME_DIR to your own; or name a socket that you trust \
                 with --socket PATH"
            }
            Self::Output(_) | Self::Json(_) => "use another output",
        }
        .into()
    }
}

/// Shows the status of those that `args` name, or of all that are found.
///
/// # Errors
///
/// See [`StatusError`]. Not with `--watch`, where processes may come and go.
pub(crate) async fn run(args: &StatusArgs, out: &mut dyn Write) -> Result<(), StatusError> {
    note_foreign(args);
    let first = everybody(args).await?;
    let began = Instant::now();
    if !args.watch {
        sleep(APART).await;
        let mut now = everybody(args).await?;
        rates::work_out(&first, &mut now, began.elapsed());
        return ignore_leaving(show(args, &now, out));
    }
    if !args.json && io::stdout().is_terminal() {
        out.write_all(frame::CLEAR.as_bytes()).map_err(StatusError::Output)?;
    }
    let (mut before, mut asked_at) = (first, began);
    loop {
        sleep_until(asked_at + PERIOD).await;
        let mut now = everybody(args).await.unwrap_or_default();
        rates::work_out(&before, &mut now, asked_at.elapsed());
        asked_at = Instant::now();
        match show(args, &now, out) {
            Err(StatusError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(());
            }
            other => other?,
        }
        before = now;
    }
}

/// Says whom nobody asks, where others answer.
fn note_foreign(args: &StatusArgs) {
    if !args.socket.is_empty() {
        return;
    }
    for directory in found().foreign {
        let error = StatusError::Foreign(directory);
        // Standard output is for the status; nobody has to see this.
        let _unseen = writeln!(io::stderr(), "anyproxy: warning: {error}; {}", error.fix());
    }
}

/// A reader that has seen enough is no failure.
fn ignore_leaving(shown: Result<(), StatusError>) -> Result<(), StatusError> {
    match shown {
        Err(StatusError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn show(args: &StatusArgs, all: &[Status], out: &mut dyn Write) -> Result<(), StatusError> {
    let mut text = match (args.json, args.watch) {
        (true, true) => serde_json::to_string(all)?,
        (true, false) => serde_json::to_string_pretty(all)?,
        (false, _) => all.iter().map(table::of).collect::<Vec<_>>().join("\n"),
    };
    if args.json {
        text.push('\n');
    }
    if args.watch && !args.json {
        if text.is_empty() {
            text = "nothing runs here now\n".into();
        }
        if io::stdout().is_terminal() {
            text = frame::of(&text, frame::rows());
        }
    }
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(StatusError::Output)
}

/// All of this user that answer, nobody if none does.
pub(crate) async fn all_here() -> Vec<Status> {
    answers(&found().sockets).await
}

async fn answers(sockets: &[PathBuf]) -> Vec<Status> {
    let answers = join_all(sockets.iter().map(|path| ask(path))).await;
    answers.into_iter().filter_map(Result::ok).collect()
}

/// Asks everybody at once. Of sockets that nobody named, those that do not answer are left out.
async fn everybody(args: &StatusArgs) -> Result<Vec<Status>, StatusError> {
    if args.socket.is_empty() {
        let Found { sockets, foreign } = found();
        let all = answers(&sockets).await;
        return match foreign.into_iter().next() {
            Some(directory) if all.is_empty() => Err(StatusError::Foreign(directory)),
            None if all.is_empty() => Err(StatusError::Nobody),
            Some(_) | None => Ok(all),
        };
    }
    if args.socket.iter().any(|path| StatusSocket::of(path) == StatusSocket::Off) {
        return Err(StatusError::Off);
    }
    let mut all = Vec::new();
    for path in &args.socket {
        let silent = |source| StatusError::Silent { path: path.clone(), source };
        all.push(ask(path).await.map_err(silent)?);
    }
    Ok(all)
}

async fn ask(path: &Path) -> Result<Status, SilentError> {
    let asking = async {
        let conn = connect(path).await?;
        Ok(anyproxy_admin::ask(conn).await?)
    };
    Deadline::after(WITHIN).bound(asking).await.unwrap_or(Err(SilentError::Slow))
}

#[cfg(unix)]
async fn connect(path: &Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(path).await
}

#[cfg(not(unix))]
async fn connect(_path: &Path) -> io::Result<tokio::io::DuplexStream> {
    std::future::ready(Err(io::ErrorKind::Unsupported.into())).await
}
