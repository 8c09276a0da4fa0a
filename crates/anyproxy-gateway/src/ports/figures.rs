//! Which ports are open, for whoever watches.

use std::{net::SocketAddr, sync::Arc};

use anyproxy_wire::message::Protocol;

use super::Ports;

/// A forwarded port that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortFigures {
    /// The group that has it.
    pub group: Arc<str>,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where it is.
    pub addr: SocketAddr,
    /// How many sessions serve it.
    pub sessions: usize,
}

impl Ports {
    /// All that are open, by group and address.
    pub(crate) fn figures(&self) -> Vec<PortFigures> {
        let of = |port: &super::Port| PortFigures {
            group: Arc::clone(&port.group),
            protocol: port.protocol,
            addr: port.addr,
            sessions: port.holders().len(),
        };
        let mut ports = self.bound().values().map(|port| of(port)).collect::<Vec<_>>();
        ports.sort_by_key(|port| (Arc::clone(&port.group), port.addr, port.protocol as u64));
        ports
    }
}
