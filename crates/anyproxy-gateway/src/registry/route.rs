//! Opening a user's connection at one session after the other.
//!
//! ```text
//! session 1 ─ Open ─ … silence ─┬─ … still waited for ─┬─▶ the first answer counts, the other
//!                               └─ session 2 ─ Open ───┘   open is reset
//! ```
//!
//! A session that is about to arrive is waited for: its client knows of it sooner than the table does.

use std::sync::Arc;

use anyproxy_runtime::Deadline;
use anyproxy_transport::{ConnectionId, OpenError, StreamError};
use anyproxy_wire::{codes::OpenCode, message::Target};
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::{
    Registry,
    session::{Session, Unopened},
};
use crate::ingress::{OpenFailure, OpenRequest, Opened, Route};

impl Route for Registry {
    async fn open(&self, request: &OpenRequest, deadline: Deadline) -> Result<Opened, OpenFailure> {
        let opening = self.open_somewhere(request);
        deadline.bound(opening).await.unwrap_or(Err(OpenFailure::TimedOut))
    }
}

/// Whether another session may do better.
enum Failed {
    Here(OpenFailure),
    Everywhere(OpenFailure),
}

impl Registry {
    /// Tries one session after the other, as long as it is the session that fails and not the
    /// target, nor the group's limit. One that is silent is not waited for alone.
    async fn open_somewhere(&self, request: &OpenRequest) -> Result<Opened, OpenFailure> {
        let mut tried = Vec::new();
        let mut attempts = FuturesUnordered::new();
        let mut failure = OpenFailure::NoSession;
        let mut arrivals = self.arrivals.subscribe();
        loop {
            while let Some(session) = self.pick(&request.group, &tried) {
                tried.push(session.way());
                let asked = Arc::clone(&session);
                attempts.push(async move { open_at(&asked, request).await });
                if !self.has_others(&request.group, &tried) {
                    // Nobody to turn to: no watch for silence.
                    break;
                }
                let answered = tokio::select! {
                    biased;
                    answered = attempts.next() => answered,
                    () = session.silent() => None,
                };
                match answered {
                    Some(Ok(opened)) => return Ok(opened),
                    Some(Err(Failed::Everywhere(failure))) => return Err(failure),
                    Some(Err(Failed::Here(here))) => failure = here,
                    None => tracing::debug!(session = session.number, "silent; asking another"),
                }
            }
            // A client that was welcomed may have told its users, while it is not in the table yet; or it came
            // into it a moment ago.
            let waits = !attempts.is_empty()
                || self.awaits(&request.group)
                || arrivals.has_changed().unwrap_or(false);
            tokio::select! {
                biased;
                Some(answered) = attempts.next() => match answered {
                    Ok(opened) => return Ok(opened),
                    Err(Failed::Everywhere(failure)) => return Err(failure),
                    Err(Failed::Here(here)) => failure = here,
                },
                // A session that moved to another tunnel, a new one, or one that does not come after all.
                Ok(()) = arrivals.changed(), if waits => {}
                else => return Err(failure),
            }
        }
    }
}

async fn open_at(session: &Arc<Session>, request: &OpenRequest) -> Result<Opened, Failed> {
    let overloaded = |detail: String| OpenFailure::Refused { code: OpenCode::Overloaded, detail };
    let opened = session.open_in_lane(&request.opening).await;
    let (mut stream, lane) = opened.map_err(|error| match error {
        Unopened::Full(full) => Failed::Everywhere(overloaded(full.to_string())),
        Unopened::Flows => Failed::Here(overloaded(error.to_string())),
        Unopened::Tunnel(OpenError::Overloaded) => {
            let detail = "too many connections, or readers that rest, in this session";
            Failed::Here(overloaded(detail.into()))
        }
        Unopened::Tunnel(OpenError::Tunnel(_)) => Failed::Here(OpenFailure::Lost),
    })?;
    let mut asked =
        Asked { connection: stream.label(), target: &request.opening.target, answered: false };
    let reply = stream.reply().await.map_err(|error| {
        asked.answered(|connection, to| {
            tracing::debug!(%connection, ?to, %error, "open failed");
        });
        if matches!(error, StreamError::TunnelLost(_)) {
            return Failed::Here(OpenFailure::Lost);
        }
        let detail = error.to_string();
        Failed::Everywhere(OpenFailure::Refused { code: OpenCode::Abandoned, detail })
    })?;
    if reply.code == OpenCode::Connected {
        asked.answered(|_, _| {});
        return Ok(Opened { stream, address: reply.address, carrier: session.carrier(&lane) });
    }
    asked.answered(|connection, to| {
        let detail = (!reply.detail.is_empty()).then(|| tracing::field::debug(&reply.detail));
        tracing::debug!(%connection, ?to, code = %reply.code, detail, "open refused");
    });
    let refused = OpenFailure::Refused { code: reply.code, detail: reply.detail };
    if reply.code == OpenCode::Draining {
        session.leave();
    }
    let elsewhere = matches!(reply.code, OpenCode::Draining | OpenCode::Overloaded);
    Err(if elsewhere { Failed::Here(refused) } else { Failed::Everywhere(refused) })
}

/// An Open that waits for its answer. However it ends, one line with its id says so, as at the client; whoever
/// answers a user knows no id.
struct Asked<'a> {
    connection: ConnectionId,
    target: &'a Target,
    answered: bool,
}

impl Asked<'_> {
    fn answered(&mut self, tell: impl FnOnce(ConnectionId, &Target)) {
        self.answered = true;
        tell(self.connection, self.target);
    }
}

impl Drop for Asked<'_> {
    /// The user left, the time is over, or another session was sooner.
    fn drop(&mut self) {
        if !self.answered {
            tracing::debug!(connection = %self.connection, to = ?self.target, "open given up");
        }
    }
}

#[cfg(test)]
mod tests;
