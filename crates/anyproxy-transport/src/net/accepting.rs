//! Accepting, whatever fails.
//!
//! No error of `accept` ends a listener: running out of descriptors passes, and the listener still owns its
//! port. The next try comes after a pause that doubles, since the connection that could not be accepted stays
//! in the kernel's queue, and a loop without a pause would spin on it.

use std::{
    future::Future,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyproxy_runtime::Trouble;
use tokio::time::{Instant, sleep_until};

use super::files::{MORE_FILES, is_out_of_files};

/// The first pause after an accept that failed; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How one listener fares. Its trouble is logged once a minute at most, and once when it is over.
#[derive(Debug)]
pub struct Accepting {
    /// Names the listener in the log.
    name: &'static str,
    trouble: Trouble,
    pause: Mutex<Option<Pause>>,
}

/// The pause after the latest accept, if it failed.
#[derive(Debug, Clone, Copy)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Accepting {
    /// For the listener of that name, such as `http`.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, trouble: Trouble::default(), pause: Mutex::default() }
    }

    /// Calls `accept` until it succeeds, with pauses in between.
    ///
    /// Cancel safe if `accept` is: a pause that was begun is kept by who calls again.
    pub async fn next<T, F>(&self, mut accept: impl FnMut() -> F) -> T
    where
        F: Future<Output = io::Result<T>>,
    {
        loop {
            // The pause itself stays: the next failure doubles it.
            let until = self.pause().map(|pause| pause.until);
            if let Some(until) = until {
                sleep_until(until).await;
            }
            match accept().await {
                Ok(accepted) => {
                    self.succeeded();
                    return accepted;
                }
                Err(error) if is_of_one_connection(&error) => {
                    tracing::debug!(listener = self.name, %error, "a peer left before it was accepted");
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    fn succeeded(&self) {
        *self.pause() = None;
        if self.trouble.is_over() {
            tracing::info!(listener = self.name, "accepts connections again");
        }
    }

    fn failed(&self, error: &io::Error) {
        if let Some(times) = self.trouble.happened() {
            let fix = if is_out_of_files(error) { MORE_FILES } else { "" };
            tracing::error!(listener = self.name, %error, times, fix,
                "cannot accept connections; they wait, and it is tried again");
        }
        let mut pause = self.pause();
        let length = pause.map_or(FIRST_PAUSE, |last| LONGEST_PAUSE.min(last.length * 2));
        *pause = Some(Pause { length, until: Instant::now() + length });
    }

    fn pause(&self) -> MutexGuard<'_, Option<Pause>> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the error belongs to the connection that was being accepted, so that the next one may
/// be taken at once. Linux passes pending network errors of the new socket on (accept(2)).
#[must_use]
pub fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::atomic::{AtomicU32, Ordering},
    };

    use anyproxy_runtime::Deadline;

    use super::*;

    fn out_of_files() -> io::Error {
        io::Error::from_raw_os_error(24)
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_second_and_success_ends_them() {
        let accepting = Accepting::new("test");
        let calls = AtomicU32::new(0);
        let eighth = || {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            ready(if call < 8 { Err(out_of_files()) } else { Ok(call) })
        };
        let start = Instant::now();
        assert_eq!(accepting.next(eighth).await, 8);
        // 50, 100, 200, 400, 800, 1000, 1000, 1000 ms
        assert_eq!(start.elapsed().as_millis(), 4550);
        let start = Instant::now();
        accepting.next(|| ready(Ok(()))).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    /// A caller that waits for several things begins anew whenever another one happens.
    #[tokio::test(start_paused = true)]
    async fn a_caller_who_comes_back_waits_out_the_pause() {
        let accepting = Accepting::new("test");
        let calls = AtomicU32::new(0);
        let never = || {
            calls.fetch_add(1, Ordering::SeqCst);
            ready(Err::<(), _>(out_of_files()))
        };
        for _ in 0..100 {
            let short = Deadline::after(Duration::from_millis(1));
            assert!(short.bound(accepting.next(never)).await.is_err());
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2, "at 0 and 50 ms, and not before 150");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_left_costs_no_pause() {
        let accepting = Accepting::new("test");
        let calls = AtomicU32::new(0);
        let second = || {
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            ready(if first { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) })
        };
        let start = Instant::now();
        accepting.next(second).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
