//! What sessions and ports of a group come to, as metrics. Each is looked at once, however many groups there are.

use std::collections::BTreeMap;

use anyproxy_admin::{Number, Page, catalogue};
use anyproxy_gateway::{GroupFigures, PortFigures, SessionFigures};
use anyproxy_transport::Transport;
use anyproxy_wire::message::Protocol;

use super::gateway::protocol_name;

/// The sums of one group.
#[derive(Debug, Default)]
struct Sums {
    connections: usize,
    flows: usize,
    quic: usize,
    ws: usize,
    moves: u64,
    stalled: u64,
    tcp: usize,
    udp: usize,
}

/// Writes the families that a gateway has by group. A session or port of a group that has just gone is left out.
pub(super) fn write<'a>(
    page: &mut Page,
    groups: &'a [GroupFigures],
    sessions: impl Iterator<Item = &'a SessionFigures>,
    ports: impl Iterator<Item = &'a PortFigures>,
) {
    let sums = sums(groups, sessions, ports);
    let by_transport = sums.iter().flat_map(|(group, it)| {
        [(Transport::Quic, it.quic), (Transport::WebSocket, it.ws)]
            .map(|(transport, count)| ([(*group).to_owned(), transport.to_string()], count.into()))
    });
    page.family(&catalogue::SESSIONS, by_transport);
    let each = |number: fn(&Sums) -> Number| {
        sums.iter().map(move |(group, sums)| ([*group], number(sums)))
    };
    page.family(&catalogue::MOVES, each(|it| it.moves.into()));
    page.family(&catalogue::CONNECTIONS, each(|it| it.connections.into()));
    page.family(&catalogue::FLOWS, each(|it| it.flows.into()));
    page.family(&catalogue::STALLED, each(|it| it.stalled.into()));
    let by_protocol = sums.iter().flat_map(|(group, it)| {
        [(Protocol::Tcp, it.tcp), (Protocol::Udp, it.udp)]
            .map(|(protocol, count)| ([*group, protocol_name(protocol)], count.into()))
    });
    page.family(&catalogue::PORTS, by_protocol);
}

fn sums<'a>(
    groups: &'a [GroupFigures],
    sessions: impl Iterator<Item = &'a SessionFigures>,
    ports: impl Iterator<Item = &'a PortFigures>,
) -> BTreeMap<&'a str, Sums> {
    let of_group = |it: &'a GroupFigures| {
        let sums = Sums { connections: it.connections, flows: it.flows, ..Sums::default() };
        (&*it.name, sums)
    };
    let mut all = groups.iter().map(of_group).collect::<BTreeMap<_, _>>();
    for session in sessions {
        let Some(sums) = all.get_mut(&*session.group) else { continue };
        let carried = match session.transport {
            Transport::Quic => &mut sums.quic,
            Transport::WebSocket => &mut sums.ws,
        };
        *carried = carried.saturating_add(1);
        sums.moves = sums.moves.saturating_add(session.moves);
        sums.stalled = sums.stalled.saturating_add(session.stalled);
    }
    for port in ports {
        let Some(sums) = all.get_mut(&*port.group) else { continue };
        let open = match port.protocol {
            Protocol::Tcp => &mut sums.tcp,
            Protocol::Udp => &mut sums.udp,
        };
        *open = open.saturating_add(1);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(group: &str, protocol: Protocol) -> PortFigures {
        let addr = "127.0.0.1:1".parse().unwrap();
        PortFigures { group: group.into(), protocol, addr, sessions: 1 }
    }

    #[test]
    fn every_group_has_its_sums_and_each_thing_is_looked_at_once() {
        let group =
            |name: &str, connections| GroupFigures { name: name.into(), connections, flows: 2 };
        let groups = [group("b", 1), group("a", 0)];
        let ports =
            [port("b", Protocol::Tcp), port("gone", Protocol::Tcp), port("b", Protocol::Udp)];
        let mut looked = 0;
        let ports = ports.iter().inspect(|_| looked += 1);
        let mut page = Page::new();
        write(&mut page, &groups, [].iter(), ports);
        assert_eq!(looked, 3);
        let text = page.into_text();
        for line in [
            "anyproxy_sessions{group=\"a\",transport=\"quic\"} 0",
            "anyproxy_connections{group=\"b\"} 1",
            "anyproxy_flows{group=\"a\"} 2",
            "anyproxy_stalled_bytes{group=\"b\"} 0",
            "anyproxy_forwarded_ports{group=\"b\",protocol=\"tcp\"} 1",
            "anyproxy_forwarded_ports{group=\"b\",protocol=\"udp\"} 1",
            "anyproxy_forwarded_ports{group=\"a\",protocol=\"udp\"} 0",
        ] {
            assert!(text.lines().any(|it| it == line), "no {line} in\n{text}");
        }
        assert!(!text.contains("gone"), "{text}");
    }
}
