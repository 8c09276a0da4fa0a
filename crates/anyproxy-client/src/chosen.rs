//! Ports that the gateway chooses, shared among replicas.
//!
//! A forward with port 0 would get a port of its own for each replica. So one replica asks for it,
//! and the others ask for the port that it was given:
//!
//! ```text
//! free ──ask──▶ asked by one ──bound──▶ held ──the last holder is gone──▶ free
//!   ▲               │ refused, gone       others ask for that port
//!   └───────────────┘
//! ```

use std::net::SocketAddr;

use tokio::sync::watch;

use crate::config::Forward;

/// The chosen ports of all forwards, in the order of the configuration.
#[derive(Debug)]
pub(crate) struct ChosenPorts(watch::Sender<Vec<Slot>>);

/// How far one forward's port is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Slot {
    #[default]
    Free,
    /// This replica asked, and has no answer yet.
    Asked(u64),
    /// The gateway chose it, and these replicas have it.
    Held { port: SocketAddr, by: Vec<u64> },
}

/// What to ask the gateway for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// To listen there.
    Listen(String),
    /// Nothing yet: another replica is being given a port.
    Later,
}

impl ChosenPorts {
    pub(crate) fn new(forwards: usize) -> Self {
        Self(watch::Sender::new(vec![Slot::Free; forwards]))
    }

    /// Wakes whoever was told [`Ask::Later`].
    pub(crate) fn changes(&self) -> watch::Receiver<Vec<Slot>> {
        self.0.subscribe()
    }

    /// What `replica` is to ask for.
    pub(crate) fn ask(&self, index: usize, forward: &Forward, replica: u64) -> Ask {
        let listen = || Ask::Listen(forward.listen.clone());
        if !is_chosen(&forward.listen) {
            return listen();
        }
        let mut ask = Ask::Later;
        self.0.send_if_modified(|slots| {
            match slots.get_mut(index) {
                Some(slot @ Slot::Free) => {
                    *slot = Slot::Asked(replica);
                    ask = listen();
                }
                Some(Slot::Asked(other)) if *other != replica => {}
                Some(Slot::Held { port, .. }) => ask = Ask::Listen(port.to_string()),
                Some(Slot::Asked(_)) | None => ask = listen(),
            }
            // There is nothing in it for those who wait.
            false
        });
        ask
    }

    /// What the gateway answered to `replica`; `None` is a refusal.
    pub(crate) fn answered(&self, index: usize, replica: u64, bound: Option<SocketAddr>) {
        self.change(index, |slot| match (slot, bound) {
            (slot @ Slot::Asked(_), Some(port)) if *slot == Slot::Asked(replica) => {
                *slot = Slot::Held { port, by: vec![replica] };
            }
            (Slot::Held { port, by }, Some(bound)) if *port == bound && !by.contains(&replica) => {
                by.push(replica);
            }
            (slot, None) => slot.without(replica),
            (Slot::Free | Slot::Asked(_) | Slot::Held { .. }, Some(_)) => {}
        });
    }

    /// The session of `replica` is over.
    pub(crate) fn left(&self, replica: u64) {
        let count = self.0.borrow().len();
        for index in 0..count {
            self.change(index, |slot| slot.without(replica));
        }
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Slot)) {
        self.0.send_if_modified(|slots| {
            let Some(slot) = slots.get_mut(index) else { return false };
            let before = slot.clone();
            change(slot);
            *slot != before
        });
    }
}

impl Slot {
    /// What is left when a replica is refused the port, loses it or goes.
    fn without(&mut self, replica: u64) {
        match self {
            Self::Asked(by) if *by == replica => *self = Self::Free,
            Self::Held { by, .. } => {
                by.retain(|other| *other != replica);
                if by.is_empty() {
                    *self = Self::Free;
                }
            }
            Self::Free | Self::Asked(_) => {}
        }
    }
}

fn is_chosen(listen: &str) -> bool {
    listen.rsplit_once(':').is_some_and(|(_, port)| port.parse() == Ok(0_u16))
}

#[cfg(test)]
mod tests;
