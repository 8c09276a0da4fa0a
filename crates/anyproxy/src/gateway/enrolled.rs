//! Who is enrolled, for a running gateway: what the store says, in memory.
//!
//! ```text
//! key    ─▶ memory                                  (no disk for a stranger's log-in)
//! token  ─▶ memory, else one look at the store      (it may have been made a moment ago)
//! enrol  ─▶ used or over, as memory knows? ─▶ no;  else one transaction ─▶ memory
//! once a second: the store ─▶ memory;  memory changed since? ─▶ sessions of revoked clients close
//! ```
//!
//! However many strangers ask for unknown tokens at once, they share a look: one that began after they asked is
//! enough.
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
    file: Mutex<Watch>,
    /// Who has logged in since that was last written.
    seen: Mutex<HashSet<PublicKey>>,
    now: fn() -> i64,
}

/// The file, if there can be one, and when it was last looked at.
#[derive(Debug)]
struct Watch {
    follower: Option<Follower>,
    looked: Option<Instant>,
}

#[derive(Debug, Default)]
struct Known {
    tokens: HashMap<TokenId, KnownToken>,
    /// Group and id of each client.
    clients: HashMap<PublicKey, (String, Arc<str>)>,
    /// The ids of each group.
    ids: HashMap<String, HashSet<Arc<str>>>,
}

#[derive(Debug)]
struct KnownToken {
    token: Token,
    expires: i64,
    used_by: Option<PublicKey>,
}

impl Known {
    fn of(roll: Roll) -> Self {
        let tokens = roll.tokens.into_iter();
        let tokens = tokens.map(|it| {
            let token = Token { group: it.group, verifier: it.verifier };
            let used_by = it.used.map(|(_, key)| key);
            (it.id, KnownToken { token, expires: it.expires, used_by })
        });
        let mut known = Self { tokens: tokens.collect(), ..Self::default() };
        for client in roll.clients.into_iter().filter(|client| client.revoked.is_none()) {
            known.insert(client.key, client.group, client.id.into());
        }
        known
    }

    fn insert(&mut self, key: PublicKey, group: String, id: Arc<str>) {
        self.ids.entry(group.clone()).or_default().insert(Arc::clone(&id));
        self.clients.insert(key, (group, id));
    }

    /// What is known to become of the wish: a token that was used stays used, and one that is over stays over.
    fn foregone(&self, wish: &Wish, now: i64) -> Option<Result<(), NotEnrolled>> {
        let token = self.tokens.get(&wish.token)?;
        match token.used_by {
            // The answer to the first time may have been lost.
            Some(key) if key == wish.key && self.is_enrolled(wish) => Some(Ok(())),
            Some(_) => Some(Err(NotEnrolled::Used)),
            None => (token.expires <= now).then_some(Err(NotEnrolled::Expired)),
        }
    }

    fn is_enrolled(&self, wish: &Wish) -> bool {
        let client = self.clients.get(&wish.key);
        client.is_some_and(|(group, id)| *group == wish.group && **id == *wish.client_id)
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
            file: Mutex::new(Watch {
                follower: directory.clone().map(Follower::new),
                looked: None,
            }),
            directory,
            known: RwLock::default(),
            replaced: AtomicBool::new(false),
            unreadable: Trouble::default(),
            seen: Mutex::default(),
            now: seconds,
        };
        this.look(Instant::now());
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
        self.look(Instant::now());
        if self.replaced.swap(false, Ordering::AcqRel) { Look::Changed } else { Look::Same }
    }

    /// Looks, unless somebody else has since the moment `wanted`.
    fn look(&self, wanted: Instant) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Watch { follower: Some(follower), looked } = &mut *file else { return };
        if looked.is_some_and(|began| began > wanted) {
            return;
        }
        *looked = Some(Instant::now());
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
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .tokens
            .get(id)
            .map(|it| it.token.clone())
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
        let foregone = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.foregone(&wish, (self.now)())
        };
        if let Some(foregone) = foregone {
            return foregone;
        }
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
                known.insert(key, client.group, client.id.into());
                if let Some(token) = known.tokens.get_mut(&token) {
                    token.used_by = Some(key);
                }
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

    fn has_client(&self, group: &str, client_id: &str) -> bool {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.ids.get(group).is_some_and(|ids| ids.contains(client_id))
    }

    fn seen(&self, key: &PublicKey) {
        self.0.seen().insert(*key);
    }

    fn token(&self, id: TokenId) -> Answer<'_, Option<Token>> {
        Box::pin(async move {
            if let Some(token) = self.0.known_token(&id) {
                return Some(token);
            }
            let wanted = Instant::now();
            self.0.blocking(move |this| this.look(wanted)).await;
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
