//! The whole gateway in figures, for whoever watches it.

use std::{collections::HashSet, sync::Arc};

use anyproxy_runtime::Scope;
use anyproxy_transport::{LedgerFigures, OpensFigures};

use crate::{
    credentials::{Credentials, FailedLoginFigures, PasswordChecks},
    figures::FlowFigures,
    flows::Flows,
    ingress::PerAddress,
    ports::{PortFigures, Ports},
    registry::{GroupFigures, Registry, SessionFigures},
    tally::{NoSession, Tally},
};

/// A gateway at one moment; not a single one, since nothing is stopped for it.
#[derive(Debug, Clone)]
pub struct GatewayFigures {
    /// Live sessions, by group.
    pub sessions: Vec<SessionFigures>,
    /// Groups, by name.
    pub groups: Vec<GroupFigures>,
    /// Forwarded ports that are open, by group.
    pub ports: Vec<PortFigures>,
    /// Tunnels, and what they moved.
    pub tunnels: LedgerFigures,
    /// What became of connections.
    pub opens: OpensFigures,
    /// Handshakes of clients that led to no session.
    pub no_session: Vec<(NoSession, u64)>,
    /// Connections of users that were accepted.
    pub users: u64,
    /// Accepts that failed; each makes its listener pause.
    pub accept_failures: u64,
    /// Connections of users that were closed at once, since their address had all that it may have.
    pub turned_away: u64,
    /// Log-ins of proxy users that failed.
    pub failed_logins: FailedLoginFigures,
    /// UDP flows.
    pub flows: FlowFigures,
    /// How passwords that people chose were checked.
    pub passwords: PasswordChecks,
}

/// What can be asked for a gateway's figures while it runs, and afterwards.
pub struct Watched {
    pub(crate) registry: Arc<Registry>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) flows: Arc<Flows>,
    pub(crate) addresses: Arc<PerAddress>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) root: Scope,
    pub(crate) listening: Listening,
}

/// The accept loops. None ends by itself, but one that panicked is gone, and its listener with it.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    accepting: Scope,
    loops: usize,
}

impl Listening {
    /// All that run in `accepting` now have to run.
    pub(crate) fn all_of(accepting: &Scope) -> Self {
        Self { accepting: accepting.clone(), loops: accepting.tasks() }
    }

    fn is_whole(&self) -> bool {
        self.accepting.tasks() >= self.loops
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

impl Watched {
    /// Whether it takes nothing new, because it ends.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.root.is_draining()
    }

    /// Whether it accepts at all its listeners. They are bound from the start on.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.listening.is_whole()
    }

    /// The figures of this moment. Costs a look at every session.
    #[must_use]
    pub fn figures(&self) -> GatewayFigures {
        let groups = self.registry.group_figures();
        let names = groups.iter().map(|group| Arc::clone(&group.name)).collect::<HashSet<_>>();
        GatewayFigures {
            sessions: self.registry.session_figures(),
            ports: self.ports.figures(),
            tunnels: self.tally.ledger.snapshot(|name| names.contains(name)),
            opens: self.tally.opens.snapshot(),
            no_session: self.tally.handshakes(),
            users: self.tally.users(),
            accept_failures: self.tally.accept_failures(),
            turned_away: self.addresses.turned_away(),
            failed_logins: self.credentials.failed_logins(),
            flows: self.flows.counters.snapshot(),
            passwords: self.credentials.password_checks(),
            groups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_is_gone_is_missed() {
        let accepting = Scope::root("accepting");
        accepting.spawn("whole", std::future::pending());
        let (ends, end) = tokio::sync::oneshot::channel::<()>();
        accepting.spawn("broken", async move {
            let _ended = end.await;
            panic!("as a bug would");
        });
        let listening = Listening::all_of(&accepting);
        assert!(listening.is_whole());
        drop(ends);
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert!(!listening.is_whole());
    }
}
