//! One attempt to reach the gateway over one transport.

use std::time::Duration;

use anyproxy_runtime::Deadline;
use anyproxy_transport::{Connected, DialError, Examiner, Presented, Transport};
use tokio::time::Instant;

use super::{Need, STEP};
use crate::doctor::Finding;

/// Whether any transport gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Through {
    Yes,
    No,
}

/// What came of an attempt.
pub(super) struct Tried {
    pub(super) need: Need,
    /// `None`: the transport is not used.
    pub(super) outcome: Option<Result<Connected, DialError>>,
    /// How long it took.
    pub(super) took: Duration,
    /// What the gateway showed.
    pub(super) presented: Option<Presented>,
}

impl Tried {
    pub(super) async fn dial(
        examiner: &Examiner,
        (transport, need): (Transport, Need),
        deadline: Deadline,
    ) -> Self {
        let began = Instant::now();
        let outcome = match need {
            Need::None => None,
            Need::Only | Need::Either => {
                Some(examiner.dial(transport, deadline.within(STEP)).await)
            }
        };
        let presented = examiner.presented(transport);
        Self { need, outcome, took: began.elapsed(), presented }
    }

    /// Whether a tunnel could come of it.
    pub(super) fn works(&self) -> bool {
        matches!(self.outcome, Some(Ok(_)))
    }

    /// A failure of it: one that matters, unless the other transport works and would do.
    pub(super) fn failed(
        &self,
        check: &'static str,
        value: impl Into<String>,
        through: Through,
    ) -> Finding {
        match self.need {
            Need::Either if through == Through::Yes => Finding::warn(check, value),
            Need::Only | Need::Either | Need::None => Finding::fail(check, value),
        }
    }

    /// The connection, if there is one.
    pub(super) fn connected(self) -> Option<Connected> {
        self.outcome?.ok()
    }
}
