//! Opening a user's connection or flow at the holders of a port.
//!
//! The user's first bytes travel behind the Open. They can leave only once: who knows what became of
//! them at a client that says nothing more. So where there is another session to turn to, they wait
//! until this one has shown a sign of life, which takes one round trip; a session alone gets them at
//! once.

use std::sync::Arc;

use anyproxy_runtime::Deadline;
use anyproxy_transport::{Opening, Stream, StreamError};
use anyproxy_wire::{codes::OpenCode, message::OpenReply};

use super::Port;
use crate::registry::{Lane, Session};

/// What carries a stream: what is live stays on its tunnel when the session moves to another.
pub(super) struct Bearer {
    pub(super) session: Arc<Session>,
    pub(super) lane: Arc<Lane>,
}

/// A stream that may take the user's first bytes, and who carries it; within `deadline`.
pub(super) async fn open(
    port: &Port,
    opening: Opening,
    deadline: Deadline,
) -> Option<(Stream, Bearer)> {
    let mut tried = Vec::new();
    loop {
        let (mut stream, bearer) = port.open(opening.clone(), &mut tried).await?;
        if !port.has_others(bearer.session.number, &tried) {
            // The first bytes need not wait for the answer; a refusal resets the user.
            stream.expect_reply(deadline);
            return Some((stream, bearer));
        }
        match sign_of_life(&mut stream, &bearer.lane).await {
            Sign::Heard => {
                stream.expect_reply(deadline);
                return Some((stream, bearer));
            }
            Sign::Answered(Ok(reply)) if reply.code == OpenCode::Connected => {
                return Some((stream, bearer));
            }
            Sign::Answered(answer) => {
                let (connection, addr) = (stream.label(), port.addr);
                tracing::debug!(%connection, %addr, ?answer, "open of a forward failed");
                if is_final(&answer) {
                    return None;
                }
                if answer.is_ok_and(|reply| reply.code == OpenCode::Draining) {
                    bearer.session.leave();
                }
            }
            Sign::Silent => {
                tried.extend(bearer.session.lanes().iter().map(|lane| lane.number));
                tracing::debug!(
                    connection = %stream.label(),
                    session = bearer.session.number,
                    "forward not opened; asking another"
                );
            }
        }
    }
}

/// What came of an Open.
enum Sign {
    /// The client's answer, or why there will be none.
    Answered(Result<OpenReply, StreamError>),
    /// Something else came from the client.
    Heard,
    /// Nothing came.
    Silent,
}

async fn sign_of_life(stream: &mut Stream, lane: &Lane) -> Sign {
    tokio::select! {
        biased;
        answer = stream.reply() => Sign::Answered(answer),
        () = lane.heard() => Sign::Heard,
        () = lane.silent() => Sign::Silent,
    }
}

/// Whether another session would say the same.
fn is_final(answer: &Result<OpenReply, StreamError>) -> bool {
    match answer {
        Ok(reply) => !matches!(reply.code, OpenCode::Draining | OpenCode::Overloaded),
        Err(error) => !matches!(error, StreamError::TunnelLost(_)),
    }
}
