//! Who is enrolled, for a running gateway: what the store says, in memory.
//!
//! ```text
//! key    ─▶ memory                                  (no disk for a stranger's log-in)
//! token  ─▶ memory, else one look at the store      (it may have been made a moment ago)
//! enrol  ─▶ one transaction ─▶ memory
//! once a second: the store ─▶ memory;  memory changed since? ─▶ sessions of revoked clients close
//! ```
//!
//! Whoever looks first takes a change over, so that there was one is remembered until it is acted on.
//!
//! The file's lock covers reading and enrolling, so what was read before a client enrolled never
//! takes its place away again.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyproxy_gateway::{Enrolments, Gateway, NotEnrolled, Token, Wish};
use anyproxy_runtime::Trouble;
use anyproxy_wire::handshake::{PublicKey, TokenId};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    failure::chain,
    store::{Access, Enrolled, Follower, Roll, Seen, Store, StoreError, StoredClient},
};

/// How often the store is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// How often is written who was seen.
const SEEN_PERIOD: Duration = Duration::from_secs(60);

/// Who is enrolled. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct ClientRoll(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    directory: Option<PathBuf>,
    known: RwLock<Known>,
    /// Whether `known` was replaced since sessions were checked against it.
    replaced: AtomicBool,
    unreadable: Trouble,
    file: Mutex<Option<Follower>>,
    /// Who has logged in since that was last written.
    seen: Mutex<HashSet<PublicKey>>,
    now: fn() -> i64,
}

#[derive(Debug, Default)]
struct Known {
    tokens: HashMap<TokenId, Token>,
    /// Group and id of each client.
    clients: HashMap<PublicKey, (String, Arc<str>)>,
}

impl Known {
    fn of(roll: Roll) -> Self {
        let tokens = roll.tokens.into_iter();
        let tokens = tokens.map(|it| (it.id, Token { group: it.group, verifier: it.verifier }));
        let clients = roll.clients.into_iter().filter(|client| client.revoked.is_none());
        let clients = clients.map(|it| (it.key, (it.group, it.id.into())));
        Self { tokens: tokens.collect(), clients: clients.collect() }
    }
}

/// Whether somebody's place may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Same,
    Changed,
}

impl Inner {
    fn new(directory: Option<PathBuf>) -> Arc<Self> {
        let this = Self {
            file: Mutex::new(directory.clone().map(Follower::new)),
            directory,
            known: RwLock::default(),
            replaced: AtomicBool::new(false),
            unreadable: Trouble::default(),
            seen: Mutex::default(),
            now: seconds,
        };
        this.look();
        Arc::new(this)
    }

    async fn follow(self: &Arc<Self>, gateway: &Gateway) -> Infallible {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = None::<Instant>;
        loop {
            ticks.tick().await;
            if self.blocking(Self::news).await == Some(Look::Changed) {
                gateway.check_enrolled();
            }
            if written.is_none_or(|at| at.elapsed() >= SEEN_PERIOD) && !self.seen().is_empty() {
                self.blocking(Self::write_seen).await;
                written = Some(Instant::now());
            }
        }
    }

    /// Off the runtime's threads, because disks may be slow; `None` if it panicked, which is logged.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&this)).await.ok()
    }

    /// Looks, and says whether this look or another one since the last news brought a change.
    fn news(&self) -> Look {
        self.look();
        if self.replaced.swap(false, Ordering::AcqRel) { Look::Changed } else { Look::Same }
    }

    fn look(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(follower) = file.as_mut() else { return };
        match follower.look_for(Store::roll) {
            Ok(Seen::Change(roll)) => {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Known::of(roll);
                self.replaced.store(true, Ordering::Release);
            }
            // What is gone changes nothing; that it is gone, the groups' feed says.
            Ok(Seen::Nothing | Seen::Gone) => {}
            Err(error) => self.tell(&error),
        }
    }

    fn tell(&self, error: &StoreError) {
        if let Some(times) = self.unreadable.happened() {
            let fix = error.fix().unwrap_or_default();
            tracing::error!(error = %chain(error), %fix, times,
                "clients and tokens cannot be read from the store; they stay as they are, and revoked \
                 clients stay connected");
        }
    }

    fn known_token(&self, id: &TokenId) -> Option<Token> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).tokens.get(id).cloned()
    }

    fn seen(&self) -> MutexGuard<'_, HashSet<PublicKey>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_seen(&self) {
        let keys: Vec<_> = std::mem::take(&mut *self.seen()).into_iter().collect();
        let written = self.open().and_then(|store| match store {
            Some(mut store) => store.note_seen(&keys, (self.now)()),
            None => Ok(()),
        });
        if let Err(error) = written {
            tracing::debug!(error = %chain(&error), "when clients were seen is not written");
        }
    }

    fn open(&self) -> Result<Option<Store>, StoreError> {
        let directory = self.directory.as_deref().unwrap_or(Path::new(""));
        Store::open(directory, Access::Write)
    }

    fn enrol_now(&self, wish: Wish) -> Result<(), NotEnrolled> {
        let _file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Wish { token, group, client_id: id, key } = wish;
        let client =
            StoredClient { key, group, id, created: (self.now)(), seen: None, revoked: None };
        let done = self.open().and_then(|store| match store {
            Some(mut store) => store.enrol(&token, &client),
            None => Ok(Enrolled::NoToken),
        });
        match done {
            Ok(Enrolled::Yes) => {
                let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
                known.clients.insert(key, (client.group, client.id.into()));
                Ok(())
            }
            Ok(Enrolled::Used) => Err(NotEnrolled::Used),
            Ok(Enrolled::Expired) => Err(NotEnrolled::Expired),
            Ok(Enrolled::NoToken) => Err(NotEnrolled::Revoked),
            Ok(Enrolled::NameTaken) => Err(NotEnrolled::NameTaken(client.id)),
            Err(error) => {
                let fix = error.fix().unwrap_or_default();
                tracing::error!(error = %chain(&error), %fix, "a client cannot be enrolled");
                Err(NotEnrolled::Failed)
            }
        }
    }
}

impl ClientRoll {
    /// What the store in `directory` says now, if there is one. Blocks.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self(Inner::new(directory))
    }

    /// Takes changes of the store over into the gateway, for ever. Cancel safe.
    pub(super) async fn follow(&self, gateway: &Gateway) -> Infallible {
        self.0.follow(gateway).await
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Enrolments for ClientRoll {
    fn client_of(&self, group: &str, key: &PublicKey) -> Option<Arc<str>> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let (of, id) = known.clients.get(key)?;
        (of == group).then(|| Arc::clone(id))
    }

    fn seen(&self, key: &PublicKey) {
        self.0.seen().insert(*key);
    }

    fn token(&self, id: TokenId) -> Answer<'_, Option<Token>> {
        Box::pin(async move {
            if let Some(token) = self.0.known_token(&id) {
                return Some(token);
            }
            self.0.blocking(Inner::look).await;
            self.0.known_token(&id)
        })
    }

    fn enrol(&self, wish: Wish) -> Answer<'_, Result<(), NotEnrolled>> {
        Box::pin(async move {
            let done = self.0.blocking(|this| this.enrol_now(wish)).await;
            done.unwrap_or(Err(NotEnrolled::Failed))
        })
    }
}

/// Seconds since 1970.
fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
