//! Places for connections: few, and no silent one keeps anybody out.
//!
//! Whoever comes when all are taken gets the place of the oldest that has not asked for anything yet, and if all
//! have, of the oldest, whose reader rests. So a probe is answered at once however many connections
//! somebody opens and leaves open.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// The oldest first.
    taken: Mutex<Vec<Taken>>,
}

#[derive(Debug)]
struct Taken {
    has_asked: Arc<AtomicBool>,
    /// Dropped to have the place back.
    _stays: oneshot::Sender<()>,
}

/// A connection's place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    has_asked: Arc<AtomicBool>,
    wanted: oneshot::Receiver<()>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(most)), taken: Mutex::default() })
    }

    /// A place for one who comes; another's, if all are taken. Cancel safe. `None` never happens.
    pub(crate) async fn take(self: &Arc<Self>) -> Option<Place> {
        if self.free.available_permits() == 0 {
            self.make_room();
        }
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let (stays, wanted) = oneshot::channel();
        let has_asked = Arc::<AtomicBool>::default();
        let taken = Taken { has_asked: Arc::clone(&has_asked), _stays: stays };
        self.taken().push(taken);
        Some(Place { places: Arc::clone(self), has_asked, wanted, _permit: permit })
    }

    fn make_room(&self) {
        let mut taken = self.taken();
        let silent = taken.iter().position(|it| !it.has_asked.load(Ordering::Relaxed));
        if !taken.is_empty() {
            taken.remove(silent.unwrap_or(0));
        }
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// To be set when it has asked for something.
    pub(crate) fn asked(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_asked)
    }

    /// Waits until somebody else needs it. Cancel safe.
    pub(crate) async fn wanted(&mut self) {
        // Nothing is ever sent.
        let _dropped = (&mut self.wanted).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().retain(|it| !Arc::ptr_eq(&it.has_asked, &self.has_asked));
    }
}
