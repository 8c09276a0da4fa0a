use std::future::{pending, poll_fn};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, advance, sleep};

use super::{Scope, Shutdown};
use crate::Deadline;

const SECOND: Duration = Duration::from_secs(1);

/// Notes when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task that waits for ever, and the count of drops it reports to.
fn waits_for_ever(drops: &Arc<AtomicUsize>) -> impl Future<Output = ()> + Send + use<> {
    let dropped = Dropped(Arc::clone(drops));
    async move {
        let _dropped = dropped;
        pending::<()>().await;
    }
}

/// Waits for the scope to finish, but not for ever.
async fn ended(scope: &Scope) {
    let in_time = Deadline::after(600 * SECOND).bound(scope.finished()).await;
    assert_eq!(in_time, Ok(()), "{scope:?} does not finish");
}

async fn is_finished(scope: &Scope) -> bool {
    let mut finished = std::pin::pin!(scope.finished());
    poll_fn(|cx| Poll::Ready(finished.as_mut().poll(cx).is_ready())).await
}

#[tokio::test(start_paused = true)]
async fn a_parent_ends_only_after_its_children() {
    let root = Scope::root("gateway");
    let session = root.child("session-3");
    let (let_go, held) = oneshot::channel::<()>();
    session.spawn("connection", async {
        let _ = held.await;
    });
    root.drain();
    assert!(session.is_draining());
    assert!(!is_finished(&session).await);
    assert!(!is_finished(&root).await);
    assert_eq!((root.tasks(), session.tasks()), (1, 1));

    let order = Arc::new(Mutex::new(Vec::new()));
    let watch = |scope: Scope, name: &'static str| {
        let order = Arc::clone(&order);
        async move {
            scope.finished().await;
            order.lock().unwrap().push((name, scope.tasks()));
        }
    };
    let watcher = Scope::root("watcher");
    watcher.spawn("root", watch(root.clone(), "root"));
    watcher.spawn("session", watch(session.clone(), "session"));
    yield_now().await;
    assert!(order.lock().unwrap().is_empty());

    let_go.send(()).unwrap();
    watcher.drain();
    ended(&watcher).await;
    assert_eq!(*order.lock().unwrap(), [("session", 0), ("root", 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_reaches_down_but_not_up() {
    let drops = Arc::new(AtomicUsize::new(0));
    let root = Scope::root("gateway");
    let (one, other) = (root.child("session-1"), root.child("session-2"));
    let below = one.child("connection");
    below.spawn("task", waits_for_ever(&drops));
    other.spawn("task", waits_for_ever(&drops));
    yield_now().await;

    one.cancel();
    ended(&one).await;
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert!(below.is_cancelled() && below.is_draining());
    assert!(!root.is_draining() && !other.is_draining());
    assert_eq!(root.tasks(), 1);
    assert!(root.child("late").child("later").path() == "gateway/late/later");
    assert!(one.child("late").is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_drain_cancels_nothing_and_still_takes_helpers() {
    let root = Scope::root("gateway");
    let done = Arc::new(AtomicBool::new(false));
    let (inner, scope) = (Arc::clone(&done), root.clone());
    root.spawn("first", async move {
        scope.draining().await;
        let helper = Arc::clone(&inner);
        scope.spawn("helper", async move {
            sleep(SECOND).await;
            helper.store(true, Ordering::SeqCst);
        });
    });
    root.drain();
    ended(&root).await;
    assert!(done.load(Ordering::SeqCst));
    assert!(!root.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn finished_waits_for_chains_of_tasks() {
    fn chain(scope: Scope, left: u32, count: Arc<AtomicUsize>) {
        scope.clone().spawn("link", async move {
            yield_now().await;
            if left > 0 {
                chain(scope.child("next"), left - 1, Arc::clone(&count));
            }
            count.fetch_add(1, Ordering::SeqCst);
        });
    }
    let root = Scope::root("root");
    let count = Arc::new(AtomicUsize::new(0));
    chain(root.clone(), 50, Arc::clone(&count));
    root.drain();
    ended(&root).await;
    assert_eq!(count.load(Ordering::SeqCst), 51);
}

#[tokio::test(start_paused = true)]
async fn finished_waits_for_the_drain() {
    let root = Scope::root("root");
    assert!(!is_finished(&root).await);
    root.drain();
    assert!(is_finished(&root).await);
}

#[tokio::test(start_paused = true)]
async fn everybody_who_waits_hears_of_the_end() {
    let (root, watcher) = (Scope::root("root"), Scope::root("watcher"));
    root.spawn("work", sleep(SECOND));
    for _ in 0..3 {
        let root = root.clone();
        watcher.spawn("watch", async move { root.finished().await });
    }
    root.drain();
    watcher.drain();
    ended(&watcher).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_scope_drops_a_new_task_at_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let root = Scope::root("root");
    root.cancel();
    root.spawn("late", waits_for_ever(&drops));
    assert_eq!((drops.load(Ordering::SeqCst), root.tasks()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_task_is_not_run_again() {
    let root = Scope::root("root");
    let polls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&polls);
    root.spawn("busy", async move {
        while count.fetch_add(1, Ordering::SeqCst) < 10_000 {
            yield_now().await;
        }
    });
    yield_now().await;
    root.cancel();
    let before = polls.load(Ordering::SeqCst);
    assert!(before > 0);
    ended(&root).await;
    assert_eq!(polls.load(Ordering::SeqCst), before);
}

#[tokio::test(start_paused = true)]
async fn a_task_spawned_to_its_end_says_farewell() {
    let root = Scope::root("root");
    let said = Arc::new(AtomicBool::new(false));
    let (scope, farewell) = (root.clone(), Arc::clone(&said));
    root.spawn_to_end("closer", async move {
        scope.cancelled().await;
        sleep(Duration::from_millis(20)).await;
        farewell.store(true, Ordering::SeqCst);
    });
    assert_eq!(root.shutdown(SECOND, SECOND).await, Shutdown::Cancelled);
    assert!(said.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn shutdown_returns_as_soon_as_all_is_drained() {
    let root = Scope::root("root");
    root.child("session").spawn("work", sleep(3 * SECOND));
    let start = Instant::now();
    assert_eq!(root.shutdown(10 * SECOND, SECOND).await, Shutdown::Drained);
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert!(root.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn shutdown_cancels_what_does_not_drain() {
    let drops = Arc::new(AtomicUsize::new(0));
    let root = Scope::root("root");
    root.child("session").spawn("work", waits_for_ever(&drops));
    let start = Instant::now();
    assert_eq!(root.shutdown(10 * SECOND, SECOND).await, Shutdown::Cancelled);
    assert_eq!(start.elapsed(), 10 * SECOND);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_skips_the_drain() {
    let drops = Arc::new(AtomicUsize::new(0));
    let root = Scope::root("root");
    root.spawn("work", waits_for_ever(&drops));
    let second = root.clone();
    Scope::root("signals").spawn("second", async move {
        sleep(2 * SECOND).await;
        second.cancel();
    });
    let start = Instant::now();
    assert_eq!(root.shutdown(10 * SECOND, SECOND).await, Shutdown::Cancelled);
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_task_is_reported_in_bounded_time() {
    let root = Scope::root("root");
    root.child("session").spawn_to_end("stuck", pending());
    root.spawn("fine", pending());
    let start = Instant::now();
    assert_eq!(root.shutdown(10 * SECOND, SECOND).await, Shutdown::Stuck(1));
    assert_eq!(start.elapsed(), 11 * SECOND);
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let log = self.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || log.clone()).finish()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("in the destructor");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_logged_with_its_scope_and_ends_only_its_task() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber());
    let root = Scope::root("gateway");
    let session = root.child("session-3");
    let number = 7;
    session.spawn("connection", async move { panic!("broken {number}") });
    session.spawn("static", async { panic!("plain text") });
    session.spawn("guard", async {
        let _guard = PanicsOnDrop;
        pending::<()>().await;
    });
    session.spawn("healthy", sleep(SECOND));
    let (ask, answer) = oneshot::channel();
    session.spawn("other", async {
        let _ = ask.send(5);
    });
    assert_eq!(answer.await, Ok(5));
    yield_now().await;

    assert_eq!(session.tasks(), 2, "the healthy task and the guard live on");
    assert!(!session.is_cancelled() && !session.is_draining());
    root.cancel();
    ended(&root).await;
    let text = log.text();
    for line in [
        "ERROR",
        r#"scope="gateway/session-3" task="connection" panic="broken 7""#,
        r#"scope="gateway/session-3" task="static" panic="plain text""#,
        r#"scope="gateway/session-3" task="guard" panic="in the destructor""#,
    ] {
        assert!(text.contains(line), "no {line} in:\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn children_that_ended_leave_nothing_behind() {
    let root = Scope::root("gateway");
    let mut gone = Vec::new();
    for number in 0..10_000 {
        let session = root.child(format!("session-{number}"));
        session.spawn("control", async {});
        session.child("connection").spawn("task", async {});
        gone.push(Arc::downgrade(&session.node));
    }
    assert_eq!(root.tasks(), 20_000);
    root.drain();
    ended(&root).await;
    // The tasks' last act is to let go of their scope.
    advance(SECOND).await;
    assert_eq!(gone.iter().filter(|node| node.strong_count() > 0).count(), 0);
    assert_eq!(Arc::strong_count(&root.node), 1);
    assert_eq!(root.tasks(), 0);
}

#[test]
fn a_thousand_tasks_end_in_milliseconds() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let drops = Arc::new(AtomicUsize::new(0));
    let took = runtime.block_on(async {
        let root = Scope::root("gateway");
        let session = root.child("session");
        let (started, ready) = mpsc::channel();
        for _ in 0..1_000 {
            let (task, started) = (waits_for_ever(&drops), started.clone());
            session.spawn("connection", async move {
                started.send(()).unwrap();
                task.await;
            });
        }
        (0..1_000).for_each(|_| ready.recv().unwrap());
        let start = std::time::Instant::now();
        root.cancel();
        assert_eq!(Deadline::after(5 * SECOND).bound(root.finished()).await, Ok(()));
        assert_eq!(root.tasks(), 0);
        start.elapsed()
    });
    assert_eq!(drops.load(Ordering::SeqCst), 1_000);
    println!("1,000 tasks ended {took:?} after the cancel");
    // It needs about a millisecond; the bound is loose because tests share a loaded machine.
    assert!(took < Duration::from_millis(500), "{took:?}");
}

#[test]
fn no_ending_is_missed_under_contention() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        for _ in 0..500 {
            let root = Scope::root("root");
            for _ in 0..4 {
                let child = root.child("child");
                let inner = child.clone();
                child.spawn("outer", async move {
                    yield_now().await;
                    inner.spawn("inner", yield_now());
                });
            }
            root.drain();
            let ended = Deadline::after(10 * SECOND).bound(root.finished()).await;
            assert_eq!((ended, root.tasks()), (Ok(()), 0));
        }
    });
}
