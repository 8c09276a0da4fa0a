//! Connecting to the first of a gateway's addresses that answers (RFC 8305, "Happy Eyeballs").
//!
//! Attempts start 250 ms apart, alternating between the address families; when one fails, the next starts
//! at once. The first whose handshake is through wins, and the others are dropped: one that swallows
//! everything, as a broken IPv6 does, costs no more than such a pause.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use super::DialError;

/// Between the starts of two attempts (RFC 8305, 5: "Connection Attempt Delay").
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Attempts that run at once; each is a socket or two, and a handshake for the gateway.
const AT_ONCE: usize = 8;

/// Alternates between the families, beginning with that of the first address: the resolver sorted them by how
/// likely they work (RFC 6724), and one family may be broken as a whole.
pub(super) fn alternating(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let v4_first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (leading, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == v4_first);
    let (mut leading, mut other) = (leading.into_iter(), other.into_iter());
    let mut all = VecDeque::new();
    loop {
        let before = all.len();
        all.extend(leading.next());
        all.extend(other.next());
        if all.len() == before {
            return all;
        }
    }
}

/// What the first `attempt` that succeeds has made. Each has to end by itself. Dropping the future gives
/// all of them up.
///
/// # Errors
/// The most telling failure, the earliest among equals; `None` where there was no address.
pub(super) async fn first<T, F>(
    mut waiting: VecDeque<SocketAddr>,
    attempt: impl Fn(SocketAddr) -> F,
) -> Result<T, Option<DialError>>
where
    F: Future<Output = Result<T, DialError>>,
{
    let mut running = FuturesUnordered::new();
    let mut failure: Option<DialError> = None;
    let mut next_at = Instant::now();
    loop {
        let more = running.len() < AT_ONCE && !waiting.is_empty();
        tokio::select! {
            biased;
            Some(result) = running.next() => match result {
                Ok(made) => return Ok(made),
                Err(error) => {
                    if failure.as_ref().is_none_or(|known| telling(&error) > telling(known)) {
                        failure = Some(error);
                    }
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if more => {
                running.extend(waiting.pop_front().map(&attempt));
                next_at = Instant::now() + ATTEMPT_DELAY;
            }
            else => return Err(failure),
        }
    }
}

/// How much a failure says about what is wrong.
fn telling(error: &DialError) -> u8 {
    match error {
        DialError::TimedOut { .. } => 0,
        DialError::Resolve { .. } | DialError::Socket { .. } => 1,
        DialError::Connect { .. } | DialError::Proxy { .. } | DialError::Through { .. } => {
            if error.is_wrong_certificate() { 3 } else { 2 }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use anyproxy_runtime::Deadline;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_beginning_with_the_first() {
        let sorted = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        let expected = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(alternating(sorted), expected);
        assert!(alternating(vec![]).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_starts_after_a_pause_or_at_once_after_a_failure() {
        let began = Instant::now();
        let starts = Mutex::new(vec![]);
        let all = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1"]);
        let made = first(all.clone().into(), |addr| {
            starts.lock().unwrap().push((addr, began.elapsed()));
            let all = &all;
            async move {
                if addr == all[1] {
                    return Err(DialError::TimedOut { addr, protocol: "udp", hint: "" });
                }
                if addr != all[2] {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(ATTEMPT_DELAY / 2).await;
                Ok(addr)
            }
        });
        assert_eq!(made.await.unwrap(), all[2]);
        let at = [Duration::ZERO, ATTEMPT_DELAY, ATTEMPT_DELAY];
        let expected: Vec<_> = all.iter().copied().zip(at).collect();
        assert_eq!(*starts.lock().unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_run_at_once_and_the_rest_when_these_failed() {
        let all: VecDeque<_> = (1..=20).map(|port| ([198, 18, 0, 1], port).into()).collect();
        let tried = Mutex::new(0);
        let failed = first::<(), _>(all, |addr| {
            *tried.lock().unwrap() += 1;
            async move {
                tokio::time::sleep(20 * ATTEMPT_DELAY).await;
                Err(DialError::TimedOut { addr, protocol: "udp", hint: "" })
            }
        });
        tokio::pin!(failed);
        let deadline = Deadline::after(19 * ATTEMPT_DELAY);
        assert!(deadline.bound(&mut failed).await.is_err());
        assert_eq!(*tried.lock().unwrap(), AT_ONCE);
        assert!(failed.await.unwrap_err().is_some());
        assert_eq!(*tried.lock().unwrap(), 20);
    }
}
