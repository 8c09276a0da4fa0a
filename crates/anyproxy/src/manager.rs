//! The service manager that started this program (systemd), if one did.
//!
//! ```text
//! before any thread: take sockets ─▶ READY=1 ─▶ WATCHDOG=1 … ─ RELOADING=1, READY=1 ─ … ─▶ STOPPING=1
//! ```
//!
//! What it is told is in sd_notify(3), how sockets come in sd_listen_fds(3). Without a manager all of this does nothing.

use std::{
    convert::Infallible,
    net::{TcpListener, UdpSocket},
    time::Duration,
};

/// Sockets that were bound for this process.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) datagrams: Vec<UdpSocket>,
    /// How many there are of kinds that are of no use here.
    pub(crate) strange: usize,
}

impl Sockets {
    /// Takes them over. Call it before the first thread starts: the variables that announce the sockets are removed
    /// from the environment, so that no other program takes them for its own.
    #[cfg(unix)]
    pub(crate) fn take() -> Self {
        let mut sockets = Self::default();
        if std::env::var_os("LISTEN_PID").is_none() {
            return sockets;
        }
        let mut passed = listenfd::ListenFd::from_env();
        for index in 0..passed.len() {
            if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
                sockets.listeners.push(listener);
            } else if let Ok(Some(socket)) = passed.take_udp_socket(index) {
                sockets.datagrams.push(socket);
            } else {
                sockets.strange = sockets.strange.saturating_add(1);
            }
        }
        sockets
    }

    /// There are none here.
    #[cfg(not(unix))]
    pub(crate) fn take() -> Self {
        Self::default()
    }
}

/// Tells the manager how the service is.
#[derive(Debug)]
pub(crate) struct Manager {
    /// How often it wants a sign of life.
    watchdog: Option<Duration>,
}

/// What the manager is told.
#[derive(Debug, Clone, Copy)]
enum Word {
    Ready,
    Reloading,
    /// With how long it may take.
    Stopping(Duration),
    Alive,
}

/// What may be needed after the drain to end.
const AFTER_DRAIN: Duration = Duration::from_secs(10);

impl Manager {
    /// The manager that the environment names.
    pub(crate) fn find() -> Self {
        Self { watchdog: watchdog() }
    }

    /// The service has started, or a reload is done.
    pub(crate) fn ready(&self) {
        tell(Word::Ready);
    }

    /// A reload begins; [`Manager::ready`] ends it.
    pub(crate) fn reloading(&self) {
        tell(Word::Reloading);
    }

    /// The service ends, and takes `drain` and a little more at most.
    pub(crate) fn stopping(&self, drain: Duration) {
        tell(Word::Stopping(drain.saturating_add(AFTER_DRAIN)));
    }

    /// Gives signs of life as often as the manager wants them, for ever. Cancel safe.
    pub(crate) async fn stay_alive(&self) -> Infallible {
        let Some(period) = self.watchdog else { return std::future::pending().await };
        loop {
            tell(Word::Alive);
            // sd_watchdog_enabled(3) recommends half of the time.
            tokio::time::sleep(period / 2).await;
        }
    }
}

#[cfg(unix)]
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}

#[cfg(not(unix))]
fn watchdog() -> Option<Duration> {
    None
}

/// A manager that does not listen is no reason to fail.
#[cfg(unix)]
fn tell(word: Word) {
    use sd_notify::NotifyState;
    let states = match word {
        Word::Ready => vec![NotifyState::Ready],
        Word::Alive => vec![NotifyState::Watchdog],
        Word::Reloading => {
            let now = NotifyState::monotonic_usec_now().ok();
            [Some(NotifyState::Reloading), now].into_iter().flatten().collect()
        }
        Word::Stopping(within) => {
            let within = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
            vec![NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(within)]
        }
    };
    if let Err(error) = sd_notify::notify(&states) {
        tracing::debug!(%error, ?word, "the service manager was not told");
    }
}

#[cfg(not(unix))]
fn tell(_word: Word) {}
