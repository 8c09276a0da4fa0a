//! A target's informational responses (RFC 9110 section 15.2) on their way to the user.
//!
//! ```text
//! target ─ 103 ─▶ hyper's client ─▶ Informant ─ a few ─▶ Interims ─▶ the user, before the response
//! ```
//!
//! hyper calls back from the task of the target's connection, where nothing can wait. So a few of
//! them queue up; a target that sends more than the user takes loses the rest, which are hints.

use http::{HeaderMap, StatusCode};
use tokio::sync::mpsc;

/// Informational responses that wait for one user at most.
const MOST_WAITING: usize = 8;

/// An informational response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interim {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// Takes the informational responses to one request.
#[derive(Debug, Clone)]
pub(super) struct Informant {
    sender: Option<mpsc::Sender<Interim>>,
    asks: Asks,
}

/// Who tells a user that its body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// hyper's HTTP/1 server, as soon as the body is read.
    Itself,
    /// We do.
    Us,
}

/// Gives them to the user.
#[derive(Debug)]
pub(super) struct Interims(mpsc::Receiver<Interim>);

/// Both ends, for one request.
pub(super) fn interims(asks: Asks) -> (Informant, Interims) {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    (Informant { sender: Some(sender), asks }, Interims(receiver))
}

impl Informant {
    /// For users who know none: HTTP/1.0.
    pub(super) fn mute(&mut self) {
        self.sender = None;
    }

    /// Passes one on.
    pub(super) fn tell(&self, interim: Interim) {
        let Some(sender) = &self.sender else { return };
        if sender.try_send(interim).is_err() {
            tracing::debug!("an informational response was dropped: the user takes too few");
        }
    }

    /// The user waits to be asked for its body, and it is wanted now.
    pub(super) fn ask(&self) {
        if self.asks == Asks::Us {
            self.tell(Interim { status: StatusCode::CONTINUE, headers: HeaderMap::new() });
        }
    }
}

impl Interims {
    /// The next one; `None` when no more can come. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Interim> {
        self.0.recv().await
    }
}
