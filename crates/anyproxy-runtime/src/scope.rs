//! The shutdown tree.
//!
//! ```text
//! process ── session ── (connection tasks)
//!    │          └────── connection scope, where one connection needs several tasks
//!    └────── listener
//! ```
//!
//! Signals run down, endings run up. `drain` ("accept nothing new") and `cancel` ("stop now") reach
//! every scope below; a task counts in its own scope and in all scopes above it until its future
//! has been dropped, so a parent cannot end before its children.
//!
//! The counts are plain numbers: a child scope leaves nothing behind in its parent when its
//! handles and tasks are gone, which matters to a gateway that makes one per session for months.

mod task;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Deadline;
use task::OnCancel;

/// A node of the shutdown tree: it owns tasks and child scopes.
///
/// A handle is cheap to clone. Dropping handles stops nothing; tasks end by themselves or by
/// [`Scope::cancel`].
#[derive(Clone)]
pub struct Scope {
    node: Arc<Node>,
}

struct Node {
    name: Arc<str>,
    parent: Option<Arc<Node>>,
    drain: CancellationToken,
    cancel: CancellationToken,
    /// Tasks that live in this scope and all scopes below it.
    live: AtomicUsize,
    /// Told whenever `live` falls to zero.
    empty: Notify,
}

/// How [`Scope::shutdown`] went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Shutdown {
    /// All tasks ended by themselves in the time given to drain.
    Drained,
    /// The scope was cancelled, and then all tasks ended in time.
    Cancelled,
    /// This many tasks had not ended even after the cancel: they block a thread, or were spawned
    /// with [`Scope::spawn_to_end`] and still work.
    Stuck(usize),
}

impl Scope {
    /// A scope with no parent.
    pub fn root(name: impl Into<Arc<str>>) -> Self {
        let (drain, cancel) = (CancellationToken::new(), CancellationToken::new());
        Self::make(name.into(), None, drain, cancel)
    }

    /// A scope that is drained and cancelled with this one, and that this one waits for.
    #[must_use]
    pub fn child(&self, name: impl Into<Arc<str>>) -> Self {
        let (drain, cancel) = (self.node.drain.child_token(), self.node.cancel.child_token());
        Self::make(name.into(), Some(Arc::clone(&self.node)), drain, cancel)
    }

    fn make(
        name: Arc<str>,
        parent: Option<Arc<Node>>,
        drain: CancellationToken,
        cancel: CancellationToken,
    ) -> Self {
        let (live, empty) = (AtomicUsize::new(0), Notify::new());
        Self { node: Arc::new(Node { name, parent, drain, cancel, live, empty }) }
    }

    /// The names from the root down to this scope, joined by `/`.
    #[must_use]
    pub fn path(&self) -> String {
        self.node.path()
    }

    /// Runs `task` until it ends or the scope is cancelled, whichever comes first; a cancelled
    /// task is dropped where it waits. On a scope that is already cancelled, `task` is dropped at
    /// once.
    ///
    /// A draining scope still takes tasks, because live work may need helpers to finish; whoever
    /// accepts new work watches [`Scope::draining`].
    ///
    /// A panic in `task` is logged as an error with the scope's path and `name`; it ends that task
    /// and nothing else.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.is_cancelled() {
            return;
        }
        task::start(&self.node, name, Box::pin(task), OnCancel::Drop);
    }

    /// Runs `task` until it ends by itself: the scope counts and waits for it like any other, but
    /// a cancel does not drop it. It is for tasks that have something to say on the way out, such
    /// as a close code; they watch [`Scope::cancelled`] and bound their farewell themselves.
    ///
    /// It is started even on a cancelled scope. A panic is treated as in [`Scope::spawn`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn_to_end<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        task::start(&self.node, name, Box::pin(task), OnCancel::Keep);
    }

    /// Asks this scope and all below it to accept nothing new and to finish what they have.
    pub fn drain(&self) {
        self.node.drain.cancel();
    }

    /// Stops this scope and all below it now. A cancelled scope is draining as well.
    pub fn cancel(&self) {
        self.node.drain.cancel();
        self.node.cancel.cancel();
    }

    /// Whether [`Scope::drain`] or [`Scope::cancel`] was called here or above.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.node.drain.is_cancelled()
    }

    /// Whether [`Scope::cancel`] was called here or above.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.cancel.is_cancelled()
    }

    /// Waits for [`Scope::drain`] or [`Scope::cancel`]. Cancel safe.
    pub async fn draining(&self) {
        self.node.drain.cancelled().await;
    }

    /// Waits for [`Scope::cancel`]. Cancel safe.
    pub async fn cancelled(&self) {
        self.node.cancel.cancelled().await;
    }

    /// The number of tasks that live in this scope and all scopes below it.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.node.live.load(Ordering::Acquire)
    }

    /// Waits until the scope is draining and no task is left in it and below it. The futures of
    /// those tasks have been dropped by then.
    ///
    /// A task that spawns another one before it ends keeps the scope from finishing in between.
    /// Never call it from a task of the same scope, which would wait for itself.
    ///
    /// Cancel safe.
    pub async fn finished(&self) {
        self.draining().await;
        loop {
            let mut empty = pin!(self.node.empty.notified());
            // Listen before looking, or the last task could end unheard in between.
            empty.as_mut().enable();
            if self.tasks() == 0 {
                return;
            }
            empty.await;
        }
    }

    /// Ends the scope: drains it, waits at most `drain`, cancels it, and waits at most `close`.
    ///
    /// A [`Scope::cancel`] from elsewhere, such as a second signal, cuts the first wait short. The
    /// scope is cancelled when this returns, whatever the result.
    ///
    /// Cancel safe: dropped half-way, what was asked of the scope so far stays asked, and it can
    /// be called again.
    pub async fn shutdown(&self, drain: Duration, close: Duration) -> Shutdown {
        self.drain();
        let drained = tokio::select! {
            biased;
            () = self.cancelled() => false,
            result = Deadline::after(drain).bound(self.finished()) => result.is_ok(),
        };
        self.cancel();
        if drained {
            return Shutdown::Drained;
        }
        match Deadline::after(close).bound(self.finished()).await {
            Ok(()) => Shutdown::Cancelled,
            Err(_) => {
                let left = self.tasks();
                tracing::warn!(scope = self.path(), tasks = left, "tasks are left after cancel");
                Shutdown::Stuck(left)
            }
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("path", &self.path())
            .field("tasks", &self.tasks())
            .field("draining", &self.is_draining())
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

impl Node {
    fn path(&self) -> String {
        match &self.parent {
            Some(parent) => format!("{}/{}", parent.path(), self.name),
            None => self.name.to_string(),
        }
    }

    /// This node and all nodes above it.
    fn upwards(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }
}

#[cfg(test)]
mod tests;
