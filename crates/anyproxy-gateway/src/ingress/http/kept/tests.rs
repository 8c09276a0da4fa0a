use std::sync::atomic::AtomicBool;

use futures_util::future::{BoxFuture, FutureExt as _};
use hyper::client::conn::http1::{Connection, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{DuplexStream, duplex},
    sync::watch,
};

use super::*;
use crate::ingress::Pulse;

/// Keeps connections open without ever driving them.
#[derive(Default)]
struct Ends {
    kept: Vec<End>,
    leaving: watch::Sender<bool>,
    pulse: Arc<Told>,
}

/// A pulse that does as it is told.
#[derive(Debug, Default)]
struct Told {
    silent: AtomicBool,
}

impl Pulse for Told {
    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    fn silent(&self) -> BoxFuture<'_, ()> {
        std::future::pending().boxed()
    }
}

type End = (Connection<TokioIo<DuplexStream>, Upload>, DuplexStream, oneshot::Sender<()>);

impl Ends {
    async fn target(&mut self, reuse: Reuse) -> Target {
        let (near, far) = duplex(64);
        let (sender, connection) = handshake(TokioIo::new(near)).await.unwrap();
        let (lives, ended) = oneshot::channel();
        self.kept.push((connection, far, lives));
        Target {
            sender,
            reuse,
            ended: Ended(ended),
            carrier: Carrier::new(self.leaving.subscribe(), self.pulse.clone()),
        }
    }
}

fn key(group: &str, name: &str, target: u16) -> Key {
    let user = User { group: group.into(), name: name.into(), credential: 1 };
    Key { user, target: TargetAddr::new("target.test", target).unwrap() }
}

fn of(kept: &Kept, counts: impl Fn(&Key) -> bool) -> usize {
    kept.lock().idle.iter().filter(|idle| counts(&idle.key)).count()
}

#[tokio::test(start_paused = true)]
async fn the_longest_kept_give_way() {
    let kept = Kept::new(Scope::root("test"));
    let (mut ends, line) = (Ends::default(), kept.line());
    for target in 1..=100 {
        for _ in 0..10 {
            let target = (key("lab", "ann", target), ends.target(Reuse::Anybody).await);
            kept.put(target.0, line, target.1);
        }
        let newest = key("lab", "ann", target);
        assert_eq!(of(&kept, |key| *key == newest), MOST_OF_KEY);
    }
    assert_eq!(of(&kept, |_| true), MOST_OF_USER);
    assert_eq!(of(&kept, |key| *key == key_of_last()), MOST_OF_KEY);
    for user in 0..100 {
        for target in 1..=20 {
            let target = (key("lab", &user.to_string(), target), ends.target(Reuse::Anybody).await);
            kept.put(target.0, line, target.1);
        }
    }
    assert_eq!(of(&kept, |_| true), MOST);
    assert_eq!(of(&kept, |key| &*key.user.name == "ann"), 0);
    tokio::time::sleep(IDLE).await;
    tokio::task::yield_now().await;
    assert_eq!(of(&kept, |_| true), 0);
    assert_eq!(kept.scope().tasks(), 0);
}

fn key_of_last() -> Key {
    key("lab", "ann", 100)
}

#[tokio::test(start_paused = true)]
async fn only_the_connections_of_a_group_make_room_for_it() {
    let kept = Kept::new(Scope::root("test"));
    let (mut ends, line) = (Ends::default(), kept.line());
    for group in ["lab", "other"] {
        kept.put(key(group, "ann", 1), line, ends.target(Reuse::Anybody).await);
    }
    let began = Instant::now();
    assert!(kept.give_way("lab", Duration::from_secs(1)).await);
    assert_eq!(began.elapsed(), Duration::from_secs(1), "its task has not ended");
    assert_eq!(of(&kept, |key| &*key.user.group == "other"), 1);
    assert!(!kept.give_way("lab", Duration::from_secs(1)).await, "there is nothing left");
    ends.kept.clear();
    assert!(kept.pop(&key("other", "ann", 1), line, Reach::Everywhere).is_none(), "it is closed");
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_a_line_ends_with_it() {
    let kept = Kept::new(Scope::root("test"));
    let (mut ends, own, other) = (Ends::default(), kept.line(), kept.line());
    for line in [own, other] {
        kept.put(key("lab", "ann", 1), line, ends.target(Reuse::Line).await);
    }
    let wanted = key("lab", "ann", 1);
    let third = kept.line();
    assert!(kept.pop(&wanted, third, Reach::Everywhere).is_none());
    kept.leave(own);
    assert!(kept.pop(&wanted, own, Reach::Everywhere).is_none());
    assert!(kept.pop(&wanted, other, Reach::Line).is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_a_session_that_wants_to_leave() {
    let kept = Kept::new(Scope::root("test"));
    let (mut leaver, mut stayer, line) = (Ends::default(), Ends::default(), kept.line());
    for ends in [&mut leaver, &mut stayer] {
        kept.put(key("lab", "ann", 1), line, ends.target(Reuse::Anybody).await);
    }
    let in_use = leaver.target(Reuse::Anybody).await;
    leaver.leaving.send_replace(true);
    kept.release_lost();
    assert_eq!(of(&kept, |_| true), 1);
    kept.put(key("lab", "ann", 1), line, in_use);
    assert_eq!(of(&kept, |_| true), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_from_a_session_that_is_silent() {
    let kept = Kept::new(Scope::root("test"));
    let (mut dead, mut alive, line) = (Ends::default(), Ends::default(), kept.line());
    let wanted = key("lab", "ann", 1);
    for ends in [&mut alive, &mut dead] {
        kept.put(wanted.clone(), line, ends.target(Reuse::Anybody).await);
    }
    let in_use = dead.target(Reuse::Anybody).await;
    dead.pulse.silent.store(true, Ordering::Relaxed);
    kept.put(wanted.clone(), line, in_use);
    let taken = kept.pop(&wanted, line, Reach::Line).unwrap();
    assert!(!taken.carrier.is_silent());
    assert_eq!(of(&kept, |_| true), 0);
}
