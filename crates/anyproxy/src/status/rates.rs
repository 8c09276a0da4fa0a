//! Throughput, from two answers.

use std::time::Duration;

use anyproxy_admin::Status;

/// Fills in how fast each session of `now` moves bytes, `apart` from `before`.
pub(super) fn work_out(before: &[Status], now: &mut [Status], apart: Duration) {
    for status in now {
        let Some(earlier) = before.iter().find(|it| it.pid == status.pid) else { continue };
        for session in &mut status.sessions {
            let same = earlier
                .sessions
                .iter()
                .find(|it| (&it.id, it.replica) == (&session.id, session.replica));
            let Some(same) = same else { continue };
            // A tunnel that ended took its bytes along.
            let rate = |now: u64, then: u64| Some(per_second(now.saturating_sub(then), apart));
            session.sending_bytes_per_second = rate(session.sent_bytes, same.sent_bytes);
            session.receiving_bytes_per_second = rate(session.received_bytes, same.received_bytes);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate is shown with few digits")]
fn per_second(bytes: u64, within: Duration) -> f64 {
    bytes as f64 / within.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use anyproxy_admin::status::Session;

    use super::*;

    fn status(sessions: &[(&str, u64)]) -> Status {
        let session = |(id, sent_bytes): &(&str, u64)| Session {
            id: (*id).into(),
            sent_bytes: *sent_bytes,
            ..Session::default()
        };
        Status { sessions: sessions.iter().map(session).collect(), ..Status::default() }
    }

    #[test]
    fn only_what_was_there_before_has_a_rate() {
        let before = [status(&[("a", 100), ("b", 100)])];
        let mut now = [status(&[("a", 300), ("b", 50), ("c", 7)])];
        work_out(&before, &mut now, Duration::from_millis(500));
        let rates = now[0].sessions.iter().map(|it| it.sending_bytes_per_second);
        assert_eq!(rates.collect::<Vec<_>>(), [Some(400.0), Some(0.0), None]);
    }
}
