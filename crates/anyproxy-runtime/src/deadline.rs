//! Deadlines that nest.
//!
//! A timeout per step adds up: three steps of 30 s make a wait of 90 s. A deadline is a point in
//! time, made once where the work begins and handed down by value; a step that wants less takes
//! [`Deadline::within`], which never reaches past the parent's.

use std::error::Error;
use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::time::Duration;

use futures_util::{FutureExt as _, TryFutureExt as _, future::Either};
use tokio::time::{Instant, sleep_until, timeout_at};

/// A point in time by which work has to be done, or never.
///
/// It follows tokio's clock, so a paused clock in a test moves it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// The deadline `limit` from now. A limit too long for the clock means never.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now().checked_add(limit))
    }

    /// The deadline at `instant`.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(Some(instant))
    }

    /// No deadline at all: nothing is ever late, and no timer is made.
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    /// The earlier of this deadline and `limit` from now.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        self.or_earlier(Self::after(limit))
    }

    /// The earlier of two deadlines.
    #[must_use]
    pub fn or_earlier(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(mine), Some(theirs)) => Self(Some(mine.min(theirs))),
            (mine, theirs) => Self(mine.or(theirs)),
        }
    }

    /// The point in time; `None` for [`Deadline::never`].
    #[must_use]
    pub const fn instant(self) -> Option<Instant> {
        self.0
    }

    /// The time that is left: zero once it is over, [`Duration::MAX`] for [`Deadline::never`].
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.0.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether the deadline has been reached.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.0.is_some_and(|at| at <= Instant::now())
    }

    /// Waits until the deadline has been reached; for ever for [`Deadline::never`].
    ///
    /// Cancel safe.
    pub async fn passed(self) {
        match self.0 {
            Some(at) => sleep_until(at).await,
            None => pending().await,
        }
    }

    /// Runs `work`, but not past the deadline.
    ///
    /// Work that is ready at once succeeds even if the deadline is over: a result in hand is not
    /// thrown away.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the deadline came first; `work` has been dropped then.
    ///
    /// # Cancel safety
    ///
    /// As cancel safe as `work`, which is dropped with this future.
    ///
    /// # Panics
    ///
    /// If it is called outside of a runtime, and there is a deadline.
    // No `async fn`: that keeps its argument beside the place where it is polled, so each level would double
    // the size of what it bounds.
    pub fn bound<F: Future>(self, work: F) -> impl Future<Output = Result<F::Output, Elapsed>> {
        match self.0 {
            Some(at) => Either::Left(timeout_at(at, work).map_err(|_| Elapsed)),
            None => Either::Right(work.map(Ok)),
        }
    }
}

/// A [`Deadline`] was reached before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}

#[cfg(test)]
mod tests;
