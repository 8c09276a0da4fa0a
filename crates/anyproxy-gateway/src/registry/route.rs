//! Opening a user's connection at one session after the other, and in one tunnel of a session after the other.
//!
//! ```text
//! session 1 ─ Open ─ … silence ─┬─ … still waited for ─┬─▶ the first answer counts, the other
//!                               └─ session 2 ─ Open ───┘   open is reset
//! ```
//!
//! A session that is about to arrive is waited for: its client knows of it sooner than the table does.
//!
//! Every Open that went out and came to nothing is one line of the log, with the word that the client's log has for it:
//! only here it is known, since who asked has no stream.

use std::sync::Arc;

use anyproxy_runtime::Deadline;
use anyproxy_transport::{ConnectionId, OpenError, StreamError};
use anyproxy_wire::{codes::OpenCode, message::OpenReply};
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};

use super::{
    InUse, Registry,
    load::Candidate as _,
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
    /// In this tunnel.
    Here(OpenFailure),
    /// In this session, of which these are the tunnels.
    Session(OpenFailure, Vec<u64>),
    Everywhere(OpenFailure),
}

/// Whom to turn to where a tunnel is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    Session,
    /// Another tunnel of the same session: it takes a longer silence, since on a path that loses packets the target
    /// would often see two connections.
    Lane,
    Nowhere,
}

impl Registry {
    fn elsewhere(&self, group: &str, session: &Session, tried: &[u64]) -> Elsewhere {
        if self.has_others(group, session.number, tried) {
            return Elsewhere::Session;
        }
        if session.is_tried(tried) { Elsewhere::Nowhere } else { Elsewhere::Lane }
    }

    /// Tries one session after the other, as long as it is the session that fails and not the
    /// target, nor the group's limit. One that is silent is not waited for alone.
    async fn open_somewhere(&self, request: &OpenRequest) -> Result<Opened, OpenFailure> {
        let mut tried = Vec::new();
        let mut attempts = FuturesUnordered::new();
        let mut failure = OpenFailure::NoSession;
        let mut arrivals = self.arrivals.subscribe();
        loop {
            while let Some((session, used)) = self.pick(&request.group, &tried) {
                let (asked, lane) = (Arc::clone(&session), Arc::clone(used.lane()));
                tried.push(lane.number);
                attempts.push(async move { open_at(&asked, used, request).await });
                let elsewhere = self.elsewhere(&request.group, &session, &tried);
                let silent = match elsewhere {
                    Elsewhere::Session => lane.silent().left_future(),
                    Elsewhere::Lane => lane.dark().right_future(),
                    // No watch for silence.
                    Elsewhere::Nowhere => break,
                };
                let number = session.number;
                let answered = tokio::select! {
                    biased;
                    answered = attempts.next() => answered,
                    () = silent => None,
                };
                match answered {
                    Some(Ok(opened)) => return Ok(opened),
                    Some(Err(Failed::Everywhere(failure))) => return Err(failure),
                    Some(Err(Failed::Here(here))) => failure = here,
                    Some(Err(Failed::Session(here, lanes))) => {
                        failure = here;
                        tried.extend(lanes);
                    }
                    None => {
                        tracing::debug!(session = number, "silent; asking another");
                        if elsewhere == Elsewhere::Session {
                            tried.extend(session.lanes().iter().map(|lane| lane.number));
                        }
                    }
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
                    Err(Failed::Session(here, lanes)) => {
                        failure = here;
                        tried.extend(lanes);
                    }
                },
                // A session that moved to another tunnel, a new one, or one that does not come after all.
                Ok(()) = arrivals.changed(), if waits => {}
                else => return Err(failure),
            }
        }
    }
}

async fn open_at(
    session: &Arc<Session>,
    used: InUse,
    request: &OpenRequest,
) -> Result<Opened, Failed> {
    let lane = Arc::clone(used.lane());
    let in_session =
        |failure| Failed::Session(failure, session.lanes().iter().map(|it| it.number).collect());
    let overloaded = |detail: String| OpenFailure::Refused { code: OpenCode::Overloaded, detail };
    let opened = session.open_in_lane(&request.opening, used).await;
    let mut stream = opened.map_err(|error| match error {
        Unopened::Full(full) => Failed::Everywhere(overloaded(full.to_string())),
        Unopened::Flows => in_session(overloaded(error.to_string())),
        Unopened::Tunnel(OpenError::Overloaded) => {
            let detail = "too many connections, or readers that rest, in this session";
            in_session(overloaded(detail.into()))
        }
        Unopened::Tunnel(OpenError::Tunnel(_)) => Failed::Here(OpenFailure::Lost),
    })?;
    let asked = Asked { connection: stream.label(), request, is_over: false };
    let reply = asked.answered(stream.reply().await).map_err(|error| {
        if matches!(error, StreamError::TunnelLost(_)) {
            return Failed::Here(OpenFailure::Lost);
        }
        let detail = error.to_string();
        Failed::Everywhere(OpenFailure::Refused { code: OpenCode::Abandoned, detail })
    })?;
    if reply.code == OpenCode::Connected {
        return Ok(Opened { stream, address: reply.address, carrier: session.carrier(&lane) });
    }
    let refused = OpenFailure::Refused { code: reply.code, detail: reply.detail };
    if reply.code == OpenCode::Draining {
        session.leave();
    }
    let elsewhere = matches!(reply.code, OpenCode::Draining | OpenCode::Overloaded);
    Err(if elsewhere { in_session(refused) } else { Failed::Everywhere(refused) })
}

/// An Open that went out. Dropped before the answer, it tells of that: the user has left, the time is over, or
/// another session was faster.
struct Asked<'a> {
    connection: ConnectionId,
    request: &'a OpenRequest,
    is_over: bool,
}

impl Asked<'_> {
    /// Tells what came, unless it is a connection: whoever has that tells how it ends.
    fn answered(
        mut self,
        answer: Result<OpenReply, StreamError>,
    ) -> Result<OpenReply, StreamError> {
        self.is_over = true;
        let (connection, to) = (self.connection, &self.request.opening.target);
        match &answer {
            Ok(reply) if reply.code == OpenCode::Connected => {}
            Ok(OpenReply { code, detail, .. }) => {
                let detail = Some(detail.as_str()).filter(|detail| !detail.is_empty());
                tracing::debug!(%connection, ?to, %code, detail, "open refused");
            }
            Err(error) => tracing::debug!(%connection, ?to, %error, "open failed"),
        }
        answer
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let (connection, to) = (self.connection, &self.request.opening.target);
            tracing::debug!(%connection, ?to, "open given up before the answer");
        }
    }
}

#[cfg(test)]
mod tests;
