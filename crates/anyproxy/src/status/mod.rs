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

use crate::{admin::found, cli::StatusArgs};

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
    let sockets = found();
    let answers = join_all(sockets.iter().map(|path| ask(path))).await;
    answers.into_iter().filter_map(Result::ok).collect()
}

/// Asks everybody at once. Of sockets that nobody named, those that do not answer are left out.
async fn everybody(args: &StatusArgs) -> Result<Vec<Status>, StatusError> {
    if args.socket.is_empty() {
        let all = all_here().await;
        return if all.is_empty() { Err(StatusError::Nobody) } else { Ok(all) };
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
