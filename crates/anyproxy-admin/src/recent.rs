//! The latest warnings and errors of the log, for a person who asks what is wrong.
//!
//! What is logged holds no secrets, and neither do these. There are few of them, each cut to a length.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use crate::status::Message;

/// How many are kept.
const KEPT: usize = 50;
/// How long one may be, in bytes.
const LONGEST: usize = 500;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Somebody should look at it.
    Warning,
    /// Something does not work.
    Error,
}

/// The latest of them, and how many there were.
#[derive(Debug, Default)]
pub struct Recent {
    kept: Mutex<VecDeque<Message>>,
    warnings: AtomicU64,
    errors: AtomicU64,
}

impl Recent {
    /// Keeps one. One that says what the last one said only counts there.
    pub fn add(&self, severity: Severity, text: &str) {
        self.add_many(severity, text, 1);
    }

    /// Keeps one that says of itself how often it happened; it is one line of the log all the same.
    pub fn add_many(&self, severity: Severity, text: &str, times: u64) {
        let (count, level) = match severity {
            Severity::Warning => (&self.warnings, "warning"),
            Severity::Error => (&self.errors, "error"),
        };
        count.fetch_add(1, Ordering::Relaxed);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let text = cut(text);
        let mut kept = self.kept();
        if let Some(last) = kept.back_mut().filter(|last| last.level == level && last.text == text)
        {
            last.at = at;
            last.times = last.times.saturating_add(times);
            return;
        }
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(Message { at, level: level.into(), text: text.into(), times });
    }

    /// Those that are kept, the oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.kept().iter().cloned().collect()
    }

    /// How many warnings and errors there ever were.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.warnings.load(Ordering::Relaxed), self.errors.load(Ordering::Relaxed))
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Message>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_few_and_short_ones_and_repetitions_are_counted() {
        let recent = Recent::default();
        recent.add(Severity::Error, &"ä".repeat(LONGEST));
        for number in 0..KEPT {
            recent.add(Severity::Warning, &format!("number {number}"));
            recent.add(Severity::Warning, &format!("number {number}"));
        }
        let messages = recent.messages();
        assert_eq!(messages.len(), KEPT);
        assert!(messages.iter().all(|it| it.times == 2 && it.level == "warning"), "{messages:?}");
        assert_eq!(recent.counts(), (2 * KEPT as u64, 1));
        recent.add(Severity::Error, &"ä".repeat(LONGEST));
        assert_eq!(recent.messages().pop().unwrap().text.len(), LONGEST);
        recent.add(Severity::Error, &format!("x{}", "ä".repeat(LONGEST)));
        assert_eq!(recent.messages().pop().unwrap().text.len(), LONGEST - 1);
    }
}
