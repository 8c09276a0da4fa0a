//! Everything a world knows, behind one lock, and the task that delivers packets when their time
//! has come.
//!
//! ```text
//! socket ──▶ Path: when does it arrive? ──▶ heap ordered by (time, number) ──▶ driver ──▶ socket
//! ```
//!
//! All state is plain data addressed by numbers; sockets hold the world, the world holds no socket,
//! so dropping the last socket and handle drops the world. Wakers are called after the lock is
//! released: a waker may drop a task, and the task a socket.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::{IpAddr, SocketAddr},
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Waker,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    address::{HostState, Name},
    link::LinkSettings,
    path::Path,
    tcp::{Connection, End, ListenerState, Packet},
    udp::{Datagram, SocketState},
};

#[derive(Debug)]
pub(super) struct Inner {
    state: Mutex<State>,
    bell: Arc<Notify>,
}

#[derive(Debug)]
pub(super) struct State {
    seed: u64,
    pub(super) born: Instant,
    pub(super) hosts: Vec<HostState>,
    pub(super) unspecified: LinkSettings,
    pub(super) names: BTreeMap<(Option<usize>, String), Name>,
    pub(super) lookup_delay: Duration,
    pub(super) sockets: BTreeMap<u64, SocketState>,
    pub(super) listeners: BTreeMap<u64, ListenerState>,
    pub(super) connections: BTreeMap<u64, Connection>,
    /// TCP packets that wait for a black hole, or for an address, to be there again.
    pub(super) held: Vec<(u64, End, Packet)>,
    pub(super) paths: BTreeMap<(IpAddr, IpAddr), Path>,
    /// When the first datagram went from one socket to another.
    pub(super) flows: BTreeMap<(SocketAddr, SocketAddr), Instant>,
    wakers: Vec<Waker>,
    heap: BinaryHeap<Reverse<Delivery>>,
    number: u64,
    driver: Driver,
    sooner: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driver {
    Absent,
    Running,
}

/// What arrives.
#[derive(Debug)]
pub(super) enum Arrival {
    Datagram(Datagram),
    /// ICMP "port unreachable", about a datagram from there.
    Refusal {
        host: usize,
        port: u16,
    },
    Tcp {
        connection: u64,
        to: End,
        packet: Packet,
    },
    /// A connection got too old for a middlebox.
    Cut {
        connection: u64,
    },
}

#[derive(Debug)]
struct Delivery {
    at: Instant,
    number: u64,
    arrival: Arrival,
}

impl PartialEq for Delivery {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Delivery {}

impl PartialOrd for Delivery {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Delivery {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Inner {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let state = State {
            seed,
            born: Instant::now(),
            hosts: Vec::new(),
            unspecified: LinkSettings::default(),
            names: BTreeMap::new(),
            lookup_delay: Duration::ZERO,
            sockets: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            held: Vec::new(),
            paths: BTreeMap::new(),
            flows: BTreeMap::new(),
            wakers: Vec::new(),
            heap: BinaryHeap::new(),
            number: 0,
            driver: Driver::Absent,
            sooner: false,
        };
        Arc::new(Self { state: Mutex::new(state), bell: Arc::default() })
    }

    pub(super) fn lock(self: &Arc<Self>) -> Guard<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Guard { inner: self, state: Some(state) }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.bell.notify_one();
    }
}

/// The locked state; afterwards it wakes whom the change concerns.
pub(super) struct Guard<'a> {
    inner: &'a Arc<Inner>,
    state: Option<MutexGuard<'a, State>>,
}

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state.as_ref().expect("held until the drop")
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.state.as_mut().expect("held until the drop")
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let Some(mut state) = self.state.take() else { return };
        let wakers = std::mem::take(&mut state.wakers);
        let ring = std::mem::take(&mut state.sooner);
        if ring
            && state.driver == Driver::Absent
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            state.driver = Driver::Running;
            runtime.spawn(drive(Arc::downgrade(self.inner), self.inner.bell.clone()));
        }
        drop(state);
        if ring {
            self.inner.bell.notify_one();
        }
        for waker in wakers {
            waker.wake();
        }
    }
}

/// Delivers until the world is gone. Everything that is due by now goes out at once, because the
/// timers of the runtime count whole milliseconds.
async fn drive(world: Weak<Inner>, bell: Arc<Notify>) {
    loop {
        let next = {
            let Some(inner) = world.upgrade() else { return };
            let mut state = inner.lock();
            state.deliver_due(Instant::now());
            state.heap.peek().map(|Reverse(delivery)| delivery.at)
        };
        match next {
            None => bell.notified().await,
            Some(at) => {
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = bell.notified() => {}
                }
            }
        }
    }
}

impl State {
    /// A number that was never used, for sockets, connections and deliveries.
    pub(super) fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.wakers.extend(waker);
    }

    pub(super) fn schedule(&mut self, at: Instant, arrival: Arrival) {
        self.sooner |= self.heap.peek().is_none_or(|Reverse(first)| at < first.at);
        let number = self.number();
        self.heap.push(Reverse(Delivery { at, number, arrival }));
    }

    fn deliver_due(&mut self, now: Instant) {
        while self.heap.peek().is_some_and(|Reverse(first)| first.at <= now) {
            let Some(Reverse(delivery)) = self.heap.pop() else { return };
            match delivery.arrival {
                Arrival::Datagram(datagram) => self.datagram_arrives(datagram),
                Arrival::Refusal { host, port } => self.refusal_arrives(host, port),
                Arrival::Tcp { connection, to, packet } => self.arrives(connection, to, packet),
                Arrival::Cut { connection } => self.cut(connection),
            }
        }
    }

    pub(super) fn path(&mut self, from: IpAddr, to: IpAddr) -> &mut Path {
        let seed = self.seed;
        self.paths.entry((from, to)).or_insert_with(|| Path::new(seed, from, to))
    }

    /// The settings that hold from `from` to `to`. Inside a host nothing takes time.
    pub(super) fn settings(&mut self, from: IpAddr, to: IpAddr) -> LinkSettings {
        if let Some(settings) = &self.path(from, to).settings {
            return *settings;
        }
        if from == to || to.is_loopback() {
            return LinkSettings { mtu: 65_507, ..LinkSettings::default() };
        }
        self.unspecified
    }
}
