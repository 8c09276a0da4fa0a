//! Gateway ports that a client asks for.

use std::{collections::HashSet, net::SocketAddr, time::Duration};

use anyproxy_wire::message::ForwardRequest;
use toml::Spanned;

use super::input::{Input, Origin};
use crate::{
    config::{ConfigError, Problem, raw::RawForward, raw::Text},
    values::{
        ForwardFlag, ForwardProtocol, HostPort, PortMap, ProxyProtocol, choice, duration,
        forward_name,
    },
};

/// How many ports one client may ask for: each is a socket of the gateway.
const MOST_FORWARDS: usize = 1_024;

/// A gateway port that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardSettings {
    /// Its name in logs.
    pub name: String,
    /// What it carries.
    pub protocol: ForwardProtocol,
    /// Where the gateway listens; port 0: the gateway chooses.
    pub listen: SocketAddr,
    /// What the client dials.
    pub target: HostPort,
    /// How the target is told the user's address; never for UDP.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Ends a connection, or a UDP flow, that carried nothing for so long.
    pub idle_timeout: Option<Duration>,
    /// Ends a connection whose receiver took nothing for so long; never for UDP.
    pub stall_timeout: Option<Duration>,
}

/// The forwards of the flags, or those of the file, one for each port.
pub(super) fn forwards(
    input: &Input<'_>,
    flags: &[ForwardFlag],
    raw: &[Spanned<RawForward>],
) -> Result<Vec<ForwardSettings>, ConfigError> {
    let mut forwards = Forwards::default();
    for flag in flags {
        let how = How { protocol: flag.protocol, ..How::default() };
        forwards
            .add(None, how, &flag.ports)
            .map_err(|clash| input.error(&Origin::Flag("--forward"), clash.problem()))?;
    }
    if !flags.is_empty() {
        return Ok(forwards.list);
    }
    for raw in raw.iter().map(Spanned::get_ref) {
        let name = input.read(&raw.name, forward_name)?;
        let listen = input.read(&raw.listen, str::parse)?;
        let target = input.read(&raw.target, str::parse)?;
        let ports = PortMap::new(listen, target);
        let ports = ports.map_err(|problem| input.error_at(&raw.target, problem))?;
        let how = how(input, raw)?;
        forwards.add(Some(&name), how, &ports).map_err(|clash| match clash {
            Clash::Name(problem) => input.error_at(&raw.name, problem),
            Clash::Listen(problem) => input.error_at(&raw.listen, problem),
        })?;
    }
    Ok(forwards.list)
}

/// What holds for each port of a forward.
#[derive(Debug, Clone, Copy, Default)]
struct How {
    protocol: ForwardProtocol,
    proxy_protocol: Option<ProxyProtocol>,
    idle_timeout: Option<Duration>,
    stall_timeout: Option<Duration>,
}

fn how(input: &Input<'_>, raw: &RawForward) -> Result<How, ConfigError> {
    let how = How {
        protocol: input.pick(None, raw.protocol.as_ref(), choice)?.unwrap_or_default(),
        proxy_protocol: input.pick(None, raw.proxy_protocol.as_ref(), choice)?,
        idle_timeout: input.pick(None, raw.idle_timeout.as_ref(), timeout)?,
        stall_timeout: input.pick(None, raw.stall_timeout.as_ref(), timeout)?,
    };
    if how.protocol == ForwardProtocol::Udp {
        let proxy = "a UDP forward takes no `proxy_protocol`: its header opens a connection, and \
                     datagrams have none";
        let stall = "a UDP forward takes no `stall_timeout`: nobody waits for a receiver of \
                     datagrams";
        only_tcp(
            input,
            raw.proxy_protocol.as_ref(),
            proxy,
            "remove it, or use protocol = \"tcp\"",
        )?;
        only_tcp(input, raw.stall_timeout.as_ref(), stall, "use `idle_timeout`, or remove it")?;
    }
    Ok(how)
}

fn only_tcp(
    input: &Input<'_>,
    raw: Option<&Text>,
    what: &str,
    fix: &str,
) -> Result<(), ConfigError> {
    let Some(raw) = raw else { return Ok(()) };
    Err(input.error_at(raw, Problem::Refused { what: what.into(), fix: fix.into() }))
}

fn timeout(text: &str) -> Result<Duration, Problem> {
    let timeout = duration(text)?;
    if timeout >= Duration::from_secs(1) {
        Ok(timeout)
    } else {
        Err(Problem::OutOfRange { text: text.into(), range: "1s or more; leave it out for none" })
    }
}

/// Forwards with distinct names and addresses.
#[derive(Default)]
struct Forwards {
    list: Vec<ForwardSettings>,
    names: HashSet<String>,
    addresses: HashSet<(ForwardProtocol, SocketAddr)>,
}

/// What of a forward does not go with the others.
enum Clash {
    Name(Problem),
    Listen(Problem),
}

impl Clash {
    fn problem(self) -> Problem {
        match self {
            Self::Name(problem) | Self::Listen(problem) => problem,
        }
    }
}

impl Forwards {
    /// Adds a forward for each port; without a name it is called what it listens on.
    fn add(&mut self, name: Option<&str>, how: How, ports: &PortMap) -> Result<(), Clash> {
        if self.list.len().saturating_add(ports.count()) > MOST_FORWARDS {
            return Err(Clash::Listen(Problem::Refused {
                what: format!("these are more than {MOST_FORWARDS} ports for one client"),
                fix: "ask for fewer, or share them out among several clients".into(),
            }));
        }
        for (listen, target) in ports.pairs() {
            let name = match (name, how.protocol) {
                (Some(name), _) if ports.is_range() => {
                    self.name(format!("{name}-{}", listen.port()))?
                }
                (Some(name), _) => self.name(name.to_owned())?,
                (None, ForwardProtocol::Tcp) => listen.to_string(),
                (None, ForwardProtocol::Udp) => format!("udp:{listen}"),
            };
            // Port 0 is another port each time.
            if listen.port() != 0 && !self.addresses.insert((how.protocol, listen)) {
                let name = listen.to_string();
                return Err(Clash::Listen(Problem::Duplicate { what: "a forward at", name }));
            }
            self.list.push(ForwardSettings {
                name,
                protocol: how.protocol,
                listen,
                target,
                proxy_protocol: how.proxy_protocol,
                idle_timeout: how.idle_timeout,
                stall_timeout: how.stall_timeout,
            });
        }
        Ok(())
    }

    /// Takes a name that no other forward has.
    fn name(&mut self, name: String) -> Result<String, Clash> {
        if name.len() > ForwardRequest::MAX_NAME {
            let what = format!("`{name}` is longer than the 64 bytes that a name may have");
            return Err(Clash::Name(Problem::Refused { what, fix: "shorten the name".into() }));
        }
        if !self.names.insert(name.clone()) {
            return Err(Clash::Name(Problem::Duplicate { what: "the forward", name }));
        }
        Ok(name)
    }
}
