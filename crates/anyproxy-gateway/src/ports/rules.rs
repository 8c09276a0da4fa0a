//! Which ports a group may have, and what becomes of those that it may have no longer.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLockReadGuard},
};

use anyproxy_wire::message::ForwardRequest;

use super::{Hold, Key, Port, Ports, listen_address};
use crate::config::{GroupConfig, PortRule};

/// Ports by group.
pub(super) type Rules = HashMap<Arc<str>, Vec<PortRule>>;

pub(super) fn of(groups: &[GroupConfig]) -> Rules {
    groups.iter().map(|group| (group.name.as_str().into(), group.ports.clone())).collect()
}

pub(super) fn allow(rules: &Rules, group: &str, addr: SocketAddr) -> bool {
    rules.get(group).is_some_and(|rules| rules.iter().any(|rule| rule.allows(addr)))
}

impl Ports {
    /// Replaces the rules. Ports that their group may not have any more close, and so do those that
    /// only `gone` sessions held; the other sessions are told.
    pub(crate) fn set_groups(&self, groups: &[GroupConfig], gone: &[u64]) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        *rules = of(groups);
        let mut bound = self.bound();
        let ports = bound.values().map(Arc::clone).collect::<Vec<_>>();
        for port in ports {
            let mut holders = port.holders();
            holders.retain(|holder| !gone.contains(&holder.session.number));
            let allowed =
                allow(&rules, &port.group, port.asked) || allow(&rules, &port.group, port.addr);
            if !allowed {
                for holder in holders.drain(..) {
                    holder.session.revoke_ports();
                }
            }
            if holders.is_empty() {
                self.close(&mut bound, &port);
            }
        }
    }

    /// Closes a port that nobody holds any more, unless that was done before.
    pub(super) fn close(&self, bound: &mut HashMap<Key, Arc<Port>>, port: &Arc<Port>) {
        if port.accepting.is_cancelled() {
            return;
        }
        bound.remove(&port.key());
        port.accepting.cancel();
        let mut closing = self.closing();
        closing.retain(|_, scope| scope.tasks() > 0);
        closing.insert(port.key(), port.accepting.clone());
        let Port { addr, protocol, group, .. } = &**port;
        tracing::info!(%addr, %protocol, %group, "forwarded port closed");
    }

    pub(super) fn rules(&self) -> RwLockReadGuard<'_, Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Whether the port is still the group's.
    pub(crate) fn is_live(&self) -> bool {
        !self.port.accepting.is_cancelled()
    }

    /// Whether it is what `request` asks for.
    pub(crate) fn is_for(&self, request: &ForwardRequest) -> bool {
        let addr = listen_address(&request.listen);
        let asked = Some(self.port.asked) == addr || Some(self.port.addr) == addr;
        self.port.protocol == request.protocol && asked
    }

    /// Where it listens.
    pub(crate) fn bound(&self) -> SocketAddr {
        self.port.addr
    }
}
