//! A busy relay shares its thread, and flushes when there is a reason to.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::script::{In, Out, Script, bytes, end};
use crate::relay::half::{BUDGET, WRITE_COST};
use crate::{RelayTimeouts, Side, relay};

/// Always has bytes, takes at most `most` of them, and counts what it took.
struct Busy {
    taken: Arc<AtomicU64>,
    most: usize,
}

static BLOCK: [u8; 65_536] = [7; 65_536];

impl Side for Busy {
    fn poll_fill(&mut self, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Poll::Ready(Ok(&BLOCK))
    }

    fn consume(&mut self, _: usize) {}

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // Without the relay's budget this would go on for ever within one poll.
        let taken = bytes.len().min(self.most);
        let total = self.taken.fetch_add(taken as u64, Ordering::SeqCst) + taken as u64;
        assert!(total < 100 * BUDGET as u64, "the relay never yields");
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Counts wake-ups.
#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Bytes that each direction of an endless relay moves in one poll; checks that it asks for the
/// next one.
fn per_poll(most: usize) -> [u64; 2] {
    let taken = [Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0))];
    let [mut a, mut b] = taken.clone().map(|taken| Busy { taken, most });
    let mut relayed = pin!(relay(&mut a, &mut b, RelayTimeouts::default()));
    for turn in 1..4 {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(relayed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(woken.0.load(Ordering::SeqCst) > 0, "nobody would poll turn {}", turn + 1);
    }
    taken.map(|taken| taken.load(Ordering::SeqCst) / 3)
}

#[test]
fn a_busy_relay_yields_after_its_budget() {
    assert_eq!(per_poll(usize::MAX), [BUDGET as u64; 2]);
}

#[test]
fn small_writes_use_up_the_budget_too() {
    assert_eq!(per_poll(1), [(BUDGET / WRITE_COST) as u64; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_flushed_once_its_source_rests_and_not_after_each_write() {
    let mut a = Script::reads([
        bytes("1"),
        bytes("2"),
        bytes("3"),
        In::Blink,
        In::Blink,
        bytes("4"),
        bytes("5"),
        In::Blink,
        In::Eof,
    ]);
    let mut b = Script::new([In::Eof], [Out::Take(1), Out::Blink]);
    let outcome = relay(&mut a, &mut b, RelayTimeouts::default()).await;
    assert_eq!(end(&outcome.a_to_b), "Finished");
    assert_eq!((b.written.as_slice(), b.flushes), (b"12345".as_slice(), 2));
    assert_eq!(a.flushes, 0);
}
