//! Sessions and groups as they are now, for whoever watches.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_transport::{SessionId, Stats, Transport};

use super::{Candidate as _, Health, Registry, Session};

/// A live session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFigures {
    /// As logs name it at both ends.
    pub id: SessionId,
    /// As only the gateway's log names it.
    pub number: u64,
    /// Its group.
    pub group: Arc<str>,
    /// Its client.
    pub client: String,
    /// Which of the client's sessions it is.
    pub replica: u64,
    /// Where the client is.
    pub peer: SocketAddr,
    /// What carries new connections.
    pub transport: Transport,
    /// How long that has done so.
    pub since: Duration,
    /// Tunnels that it has.
    pub tunnels: usize,
    /// How often it moved from one tunnel to another.
    pub moves: u64,
    /// Whether nothing was heard from the client when it was last asked.
    pub is_silent: bool,
    /// Whether it takes no new connections.
    pub is_leaving: bool,
    /// Figures of the tunnel that carries new connections, but for bytes, which are those of all its tunnels.
    pub stats: Stats,
    /// Live connections and flows, over all its tunnels.
    pub connections: usize,
    /// Bytes that stalled connections may hold, as an upper bound.
    pub stalled: u64,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFigures {
    /// Its name.
    pub name: Arc<str>,
    /// Live proxied connections.
    pub connections: usize,
    /// Live UDP flows.
    pub flows: usize,
}

impl Registry {
    /// All sessions, by group and number.
    pub(crate) fn session_figures(&self) -> Vec<SessionFigures> {
        let sessions = {
            let groups = self.read();
            let members = groups.values().flat_map(|group| group.roster.members());
            members.cloned().collect::<Vec<_>>()
        };
        let mut figures = sessions.iter().filter_map(|it| of(it)).collect::<Vec<_>>();
        figures.sort_by_key(|it| (Arc::clone(&it.group), it.number));
        figures
    }

    /// All groups, by name.
    pub(crate) fn group_figures(&self) -> Vec<GroupFigures> {
        let groups = self.read();
        let of = |(name, group): (&Arc<str>, &super::Group)| {
            let (connections, flows) = group.share.live();
            GroupFigures { name: Arc::clone(name), connections, flows }
        };
        let mut figures = groups.iter().map(of).collect::<Vec<_>>();
        figures.sort_by(|one, other| one.name.cmp(&other.name));
        figures
    }
}

/// `None` for one that has just ended.
fn of(session: &Session) -> Option<SessionFigures> {
    let (lanes, (sent, received)) = session.lanes.with_gone();
    let current = session.current()?;
    let mut stats = current.tunnel.stats();
    let others = lanes.iter().filter(|lane| lane.number != current.number);
    for other in others.map(|lane| lane.tunnel.stats()) {
        stats.sent = stats.sent.saturating_add(other.sent);
        stats.received = stats.received.saturating_add(other.received);
    }
    stats.sent = stats.sent.saturating_add(sent);
    stats.received = stats.received.saturating_add(received);
    Some(SessionFigures {
        id: current.tunnel.session(),
        number: session.number,
        group: Arc::clone(&session.group),
        client: session.client.id.clone(),
        replica: session.client.replica,
        peer: current.tunnel.peer(),
        transport: current.tunnel.transport(),
        since: current.since.elapsed(),
        tunnels: lanes.len(),
        moves: session.lanes.moves(),
        is_silent: session.health() == Health::Silent,
        is_leaving: session.is_leaving(),
        stats,
        connections: session.load(),
        stalled: session.stalled(),
    })
}
