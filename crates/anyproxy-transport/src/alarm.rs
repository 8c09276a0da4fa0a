//! What a tunnel's task and those who use the tunnel tell each other about liveness.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyproxy_wire::heartbeat::Heartbeat;
use tokio::sync::Notify;

/// Suspicion one way, doubt the other way.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    suspected: AtomicBool,
    /// Why to ask at once, until the task takes it: silence that no clock counted.
    doubt: Mutex<Option<Duration>>,
    /// Somebody wants to know whether the peer is there.
    asked: AtomicBool,
    raised: Notify,
}

impl Alarm {
    /// Whether something has been unanswered for so long that the peer may be gone.
    pub(crate) fn is_suspected(&self) -> bool {
        self.suspected.load(Ordering::Relaxed)
    }

    /// The task has looked.
    pub(crate) fn follow(&self, heartbeat: &Heartbeat) {
        self.suspected.store(heartbeat.is_suspected(), Ordering::Relaxed);
    }

    /// Lets the task ask the peer, and suspect it if it does not answer.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether somebody [asked](Self::ask) since it was last looked.
    pub(crate) fn take_asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    /// See [`Heartbeat::doubt`]; several add up.
    pub(crate) fn raise(&self, silence: Duration) {
        {
            let mut doubt = self.doubt.lock().unwrap_or_else(PoisonError::into_inner);
            *doubt = Some(doubt.unwrap_or_default().saturating_add(silence));
        }
        self.raised.notify_one();
    }

    pub(crate) fn take_doubt(&self) -> Option<Duration> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for a doubt, and takes it. Cancel safe.
    pub(crate) async fn doubt(&self) -> Duration {
        loop {
            if let Some(silence) = self.take_doubt() {
                return silence;
            }
            self.raised.notified().await;
        }
    }
}
