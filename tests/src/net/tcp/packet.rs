//! Packets: how they travel and what they do when they arrive.

use std::{io, net::IpAddr, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    connection::{Connection, End, Held, Phase, Vanished},
    listener::BACKLOG,
};
use crate::net::{
    address::covers,
    link::Switch,
    state::{Arrival, State},
    tap::{Carrier, Record},
};

/// Smallest retransmission time-out of Linux (`TCP_RTO_MIN`).
const MINIMAL_RTO: Duration = Duration::from_millis(200);

#[derive(Debug, Clone)]
pub(in crate::net) enum Packet {
    Syn,
    SynAck,
    /// The answer to SYN is no.
    Refusal(io::ErrorKind),
    /// The third packet of the handshake.
    Ack,
    Data(Bytes),
    Fin,
    Reset,
    /// The application has read this many bytes.
    Room(usize),
}

/// How a packet travels.
enum Class {
    /// Lost for good; the connecting side tries again.
    Handshake,
    /// In order behind everything sent before.
    Ordered(usize),
    /// Takes the delay and nothing else: acknowledgements are cumulative, and RST does not wait for
    /// bytes in front of a slow link.
    Express,
}

impl Packet {
    fn class(&self) -> Class {
        match self {
            Self::Syn | Self::SynAck | Self::Refusal(_) => Class::Handshake,
            Self::Data(bytes) => Class::Ordered(bytes.len()),
            Self::Ack | Self::Fin => Class::Ordered(0),
            Self::Reset | Self::Room(_) => Class::Express,
        }
    }
}

impl State {
    /// Puts a packet of `from` on its way.
    pub(super) fn transmit(&mut self, id: u64, from: End, packet: Packet) {
        let Some(connection) = self.connections.get(&id).filter(|it| !it.forgotten) else { return };
        let (ours, theirs) = (connection.side(from), connection.side(from.other()));
        let (source, target) = (ours.addr, theirs.addr);
        let open = self.reachable(connection)
            && self
                .paths
                .get(&(source.ip(), target.ip()))
                .is_none_or(|p| p.tcp_hole == Switch::Off);
        let class = packet.class();
        if !open {
            if !matches!(class, Class::Handshake) {
                self.held.push((id, from, packet));
            }
            return;
        }
        if let Some(vanished) = self.connections.get(&id).and_then(|found| found.vanished) {
            return self.meets_a_void((id, from), vanished, &packet);
        }
        let now = Instant::now();
        let settings = self.settings(source.ip(), target.ip());
        let rto = self.rto(source.ip(), target.ip());
        let path = self.path(source.ip(), target.ip());
        let at = match class {
            Class::Handshake => match path.handshake(now, &settings) {
                Some(at) => at,
                None => return,
            },
            Class::Express => now + settings.delay,
            Class::Ordered(size) => {
                let arrives = path.segment(now, size, &settings, rto);
                self.ordered(id, from, arrives)
            }
        };
        if let Packet::Data(bytes) = &packet {
            let bytes = bytes.clone();
            let record = Record { at: now, carrier: Carrier::Tcp, from: source, to: target, bytes };
            self.path(source.ip(), target.ip()).record(|| record);
        }
        self.schedule(at, Arrival::Tcp { connection: id, to: from.other(), packet });
    }

    /// A packet of a connection of which one end knows nothing any more.
    fn meets_a_void(&mut self, (id, from): (u64, End), vanished: End, packet: &Packet) {
        if from == vanished || matches!(packet, Packet::Reset) {
            return;
        }
        let Some(connection) = self.connections.get(&id) else { return };
        let (ours, theirs) =
            (connection.side(from).addr.ip(), connection.side(from.other()).addr.ip());
        let round_trip = self.settings(ours, theirs).delay + self.settings(theirs, ours).delay;
        if self.path(theirs, ours).tcp_hole == Switch::On {
            return;
        }
        let reset = Arrival::Tcp { connection: id, to: from, packet: Packet::Reset };
        self.schedule(Instant::now() + round_trip, reset);
    }

    /// Makes one end of each of the host's connections vanish; those inside the host stay.
    pub(in crate::net) fn vanish_tcp(&mut self, host: usize, which: Vanished) {
        let inside = |connection: &&mut Connection| connection.server.addr.ip().is_loopback();
        for connection in self.connections.values_mut().filter(|it| !inside(it)) {
            let ends = [End::Client, End::Server];
            let this = ends.into_iter().find(|end| connection.side(*end).host == Some(host));
            if let Some(this) = this {
                connection.vanished = Some(match which {
                    Vanished::ThisEnd => this,
                    Vanished::FarEnd => this.other(),
                });
            }
        }
    }

    /// Notes an arrival, not before those of packets sent earlier.
    fn ordered(&mut self, id: u64, from: End, arrives: Instant) -> Instant {
        let Some(connection) = self.connections.get_mut(&id) else { return arrives };
        let last = &mut connection.side_mut(from).last_arrival;
        let arrives = last.map_or(arrives, |last| last.max(arrives));
        *last = Some(arrives);
        arrives
    }

    fn rto(&mut self, from: IpAddr, to: IpAddr) -> Duration {
        let round_trip = self.settings(from, to).delay + self.settings(to, from).delay;
        (round_trip * 2).max(MINIMAL_RTO)
    }

    /// Whether both ends still have the addresses that the connection is made of.
    fn reachable(&self, connection: &Connection) -> bool {
        let Some(near) = connection.client.host else { return false };
        [&connection.client, &connection.server]
            .iter()
            .all(|side| side.host.is_none_or(|host| self.owner(side.addr.ip(), near) == Some(host)))
    }

    /// Sends again what waited. What must still wait is held again.
    pub(in crate::net) fn release_held(&mut self) {
        for (id, from, packet) in std::mem::take(&mut self.held) {
            self.transmit(id, from, packet);
        }
    }

    pub(in crate::net) fn arrives(&mut self, id: u64, to: End, packet: Packet) {
        match packet {
            Packet::Syn => self.syn(id),
            Packet::SynAck => self.syn_ack(id),
            Packet::Refusal(kind) => self.settle(id, Phase::Failed(kind)),
            Packet::Ack => self.established(id),
            Packet::Data(bytes) => self.data(id, to, bytes),
            Packet::Fin => self.change(id, to, |side| side.got_fin |= !side.got_reset),
            Packet::Reset => self.change(id, to, super::connection::Side::reset),
            Packet::Room(read) => {
                self.change(id, to, |side| side.unread = side.unread.saturating_sub(read));
            }
        }
    }

    fn syn(&mut self, id: u64) {
        let Some(connection) = self.connections.get(&id) else { return };
        let (from, to) = (connection.client.addr, connection.server.addr);
        if connection.phase != Phase::Syn {
            return self.transmit(id, End::Server, Packet::SynAck);
        }
        let Some(near) = connection.client.host else { return };
        let owner = self.owner(to.ip(), near);
        let rule = self.path(from.ip(), to.ip()).connects.failure();
        let failure = rule.or(owner.is_none().then_some(io::ErrorKind::HostUnreachable));
        if let Some(kind) = failure {
            return self.transmit(id, End::Server, Packet::Refusal(kind));
        }
        let listener = self.listeners.iter().find(|(_, listener)| {
            Some(listener.host) == owner
                && listener.bound.port() == to.port()
                && covers(listener.bound.ip(), to.ip())
        });
        let Some((listener, found)) = listener.map(|(id, found)| (*id, found)) else {
            let refused = Packet::Refusal(io::ErrorKind::ConnectionRefused);
            return self.transmit(id, End::Server, refused);
        };
        if found.backlog.len() >= BACKLOG {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.server.host = owner;
            connection.listener = listener;
            connection.phase = Phase::SynReceived;
        }
        self.transmit(id, End::Server, Packet::SynAck);
    }

    fn syn_ack(&mut self, id: u64) {
        if self.connections.get(&id).is_some_and(|c| c.phase == Phase::SynReceived) {
            self.settle(id, Phase::Open);
            self.transmit(id, End::Client, Packet::Ack);
        }
    }

    /// Ends the handshake for the client.
    pub(super) fn settle(&mut self, id: u64, phase: Phase) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if matches!(connection.phase, Phase::Open | Phase::Failed(_)) {
            return;
        }
        connection.phase = phase;
        let waiting = connection.connecting.take();
        self.wake(waiting);
    }

    /// The server's end is ready to be accepted; without its listener it is reset.
    fn established(&mut self, id: u64) {
        let Some(connection) = self.connections.get(&id) else { return };
        match self.listeners.get_mut(&connection.listener) {
            Some(listener) if listener.backlog.len() < BACKLOG => {
                listener.backlog.push_back(id);
                for waker in std::mem::take(&mut listener.acceptors) {
                    self.wake(Some(waker));
                }
            }
            Some(_) | None => self.close(id, End::Server, super::stream::Close::Reset),
        }
    }

    fn data(&mut self, id: u64, to: End, bytes: Bytes) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let side = connection.side_mut(to);
        if side.got_reset {
            return;
        }
        if side.held == Held::Closed {
            side.got_reset = true;
            return self.transmit(id, to, Packet::Reset);
        }
        side.received.push_back(bytes);
        let reader = side.reader.take();
        self.wake(reader);
    }

    /// Changes one end and lets its application look.
    pub(super) fn change(
        &mut self,
        id: u64,
        end: End,
        change: impl FnOnce(&mut super::connection::Side),
    ) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let side = connection.side_mut(end);
        change(side);
        for waker in side.wakers() {
            self.wake(waker);
        }
    }

    /// Resets both ends of every connection between two addresses.
    pub(in crate::net) fn reset_between(&mut self, one: IpAddr, other: IpAddr) {
        let hit = |it: &Connection| it.is_between(one, other);
        let ids: Vec<u64> =
            self.connections.iter().filter(|(_, it)| hit(it)).map(|(id, _)| *id).collect();
        for id in ids {
            self.cut(id);
        }
    }

    /// Lets nothing more pass between two addresses for the connections that there are.
    pub(in crate::net) fn forget_between(&mut self, one: IpAddr, other: IpAddr) {
        for connection in self.connections.values_mut().filter(|it| it.is_between(one, other)) {
            connection.forgotten = true;
        }
    }

    /// Resets both ends.
    pub(in crate::net) fn cut(&mut self, id: u64) {
        self.settle(id, Phase::Failed(io::ErrorKind::ConnectionRefused));
        self.change(id, End::Client, super::connection::Side::reset);
        self.change(id, End::Server, super::connection::Side::reset);
    }
}
