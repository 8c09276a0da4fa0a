//! One task of a scope: counted, cancelled and contained.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use super::Node;

/// Boxed, because a future that is wrapped by value in an `async` block is stored twice, and a
/// connection's future is large.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a cancel does to a task.
#[derive(Clone, Copy)]
pub(super) enum OnCancel {
    /// It is dropped where it waits.
    Drop,
    /// Nothing; it watches for the cancel itself.
    Keep,
}

/// Spawns `task` in the scope `node`.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that spawns: the task is counted and contained here"
)]
pub(super) fn start(node: &Arc<Node>, name: &'static str, task: Task, on_cancel: OnCancel) {
    // Counted before it is spawned, so that the spawning task cannot end and leave a gap.
    let live = Live::new(Arc::clone(node));
    tokio::spawn(contain(live, name, task, on_cancel));
}

async fn contain(live: Live, name: &'static str, task: Task, on_cancel: OnCancel) {
    let node = Arc::clone(&live.0);
    let mut body = pin!(run(node, task, on_cancel));
    let result = poll_fn(|cx| {
        // `run` drops the task inside its last poll, so a panic in a destructor is caught too.
        // Unwind safe: after a panic the body is never polled again, only dropped.
        match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    if let Err(panic) = result {
        let scope = live.0.path();
        tracing::error!(scope, task = name, panic = message(&*panic), "a task panicked");
    }
}

async fn run(node: Arc<Node>, task: Task, on_cancel: OnCancel) {
    match on_cancel {
        OnCancel::Drop => tokio::select! {
            biased;
            () = node.cancel.cancelled() => {}
            () = task => {}
        },
        OnCancel::Keep => task.await,
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "(no message)"
    }
}

/// One living task in the counts of its scope and of every scope above.
struct Live(Arc<Node>);

impl Live {
    fn new(node: Arc<Node>) -> Self {
        for node in node.upwards() {
            node.live.fetch_add(1, Ordering::Relaxed);
        }
        Self(node)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Upwards: a child ends before its parent. Release, so that whoever reads the zero also
        // sees what the task did.
        for node in self.0.upwards() {
            if node.live.fetch_sub(1, Ordering::AcqRel) == 1 {
                node.empty.notify_waiters();
            }
        }
    }
}
