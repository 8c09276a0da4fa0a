//! Which targets this client connects to.
//!
//! For each address that is about to be dialled, the first line that applies decides:
//!
//! 1. the deny list has the name asked for, or the address: denied
//! 2. a built-in deny has the address, and no allow entry lists that address or network: denied
//! 3. the target comes from this client's own configuration: allowed
//! 4. the allow list is empty, or has the name asked for, or the address: allowed
//! 5. denied
//!
//! Deny entries and built-in denies also look at the IPv4 address that a NAT64, 6to4 or translated
//! address carries; allow entries do not. Such an address can lose by what it carries, never gain.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

use super::{
    address,
    name::Name,
    rule::{Rule, RuleError},
};

/// The allow and deny lists.
///
/// The default has two empty lists: everything but the built-in denies. Loopback and private
/// addresses are allowed, because reaching them is what a client is for.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

/// One of the two lists of a [`Policy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// What may be reached, when it is not empty.
    Allow,
    /// What may not, whatever the other one says.
    Deny,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow list",
            Self::Deny => "deny list",
        })
    }
}

/// An entry that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{list}, entry {entry:?}: {problem}")]
pub struct PolicyError {
    /// The list that has it.
    pub list: List,
    /// The entry as it was given.
    pub entry: String,
    /// What is wrong with it.
    pub problem: RuleError,
}

/// Why a target is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// An entry of the deny list, in its canonical spelling.
    #[error("the deny list has {0}")]
    Listed(String),
    /// A built-in deny: what the network is for, and the network.
    #[error("{0} ({1}) is denied unless the allow list names it")]
    BuiltIn(&'static str, IpNet),
    /// The allow list is not empty, and no entry is about the target.
    #[error("the allow list does not have it")]
    NotListed,
}

/// What a policy is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    /// The name asked for, unless it was an address.
    pub(super) name: Option<&'a Name>,
    /// The port that will be dialled.
    pub(super) port: u16,
    /// Who chose the target.
    pub(super) origin: Origin,
}

/// Who chose a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A user of the gateway.
    User,
    /// The configuration of this client.
    Configuration,
}

impl Policy {
    /// Parses both lists; `docs/policy.md` has the syntax.
    ///
    /// # Errors
    /// [`PolicyError`] for the first entry that is no rule.
    pub fn parse(allow: &[String], deny: &[String]) -> Result<Self, PolicyError> {
        Ok(Self { allow: parse_list(List::Allow, allow)?, deny: parse_list(List::Deny, deny)? })
    }

    /// Checks what can be said before the name is looked up.
    ///
    /// It saves the look-up of a name that no rule could let through, so that users cannot send
    /// queries of their choice to the private resolver.
    pub(super) fn check_name(&self, request: Request<'_>) -> Result<(), Denial> {
        if let Some(rule) = self.deny.iter().find(|rule| request.is_for_name(rule)) {
            return Err(Denial::Listed(rule.to_string()));
        }
        let hope = |rule: &Rule| {
            let by_address = rule.is_about_addresses() && rule.has_port(request.port);
            by_address || request.is_for_name(rule)
        };
        let open = request.origin == Origin::Configuration || self.allow.is_empty();
        if open || self.allow.iter().any(hope) { Ok(()) } else { Err(Denial::NotListed) }
    }

    /// Checks an address that is about to be dialled, in its plain form.
    pub(super) fn check(&self, request: Request<'_>, ip: IpAddr) -> Result<(), Denial> {
        for ip in [Some(ip), address::carried(ip)].into_iter().flatten() {
            self.check_denies(request, ip)?;
        }
        let open = request.origin == Origin::Configuration || self.allow.is_empty();
        let allowed = |rule: &Rule| request.is_for_name(rule) || request.is_for_address(rule, ip);
        if open || self.allow.iter().any(allowed) { Ok(()) } else { Err(Denial::NotListed) }
    }

    fn check_denies(&self, request: Request<'_>, ip: IpAddr) -> Result<(), Denial> {
        let denies = |rule: &&Rule| request.is_for_name(rule) || request.is_for_address(rule, ip);
        if let Some(rule) = self.deny.iter().find(denies) {
            return Err(Denial::Listed(rule.to_string()));
        }
        match BUILT_IN.iter().find(|(net, _)| net.contains(&ip)) {
            Some((net, what)) if !self.lifts(net, request, ip) => Err(Denial::BuiltIn(what, *net)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the allow list names the address or a network that is no wider than the built-in
    /// one. A wider network, a name or `*` was hardly written with the metadata service in mind.
    fn lifts(&self, net: &IpNet, request: Request<'_>, ip: IpAddr) -> bool {
        self.allow.iter().any(|rule| rule.is_within(net) && request.is_for_address(rule, ip))
    }
}

impl Request<'_> {
    fn is_for_name(&self, rule: &Rule) -> bool {
        rule.has_port(self.port) && self.name.is_some_and(|name| rule.has_name(name))
    }

    fn is_for_address(&self, rule: &Rule, ip: IpAddr) -> bool {
        rule.has_port(self.port) && rule.has_address(ip)
    }
}

fn parse_list(list: List, entries: &[String]) -> Result<Vec<Rule>, PolicyError> {
    let parse = |entry: &String| {
        entry.parse().map_err(|problem| PolicyError { list, entry: entry.clone(), problem })
    };
    entries.iter().map(parse).collect()
}

/// Addresses that nobody wants to reach by accident: those of the own link, those that hand a
/// cloud machine's credentials to whoever asks from it, and those that are no single host.
const BUILT_IN: &[(IpNet, &str)] = &[
    (v4([0, 0, 0, 0], 8), "the unspecified address"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "the unspecified address"),
    (v4([169, 254, 0, 0], 16), "a link-local or cloud metadata address"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "a link-local address"),
    (v4([100, 100, 100, 200], 32), METADATA), // Alibaba Cloud
    (v4([168, 63, 129, 16], 32), METADATA),   // Azure WireServer
    (v4([192, 0, 0, 192], 32), METADATA),     // Oracle Cloud Classic
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), METADATA), // AWS
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), METADATA), // Google Cloud
    (v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), METADATA), // Oracle Cloud
    (v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), METADATA), // Scaleway
    (v4([224, 0, 0, 0], 4), "a multicast address"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "a multicast address"),
    (v4([255, 255, 255, 255], 32), "the broadcast address"),
];

const METADATA: &str = "a cloud metadata address";

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> IpNet {
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix)
}
