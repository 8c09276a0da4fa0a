//! What a service runs from.
//!
//! ```text
//! /etc/anyproxy/gateway.toml              ─▶ File      as a person wrote it
//! a gateway without a file: --advertise,
//!   or what it made in its data directory ─▶ Own       /var/lib/anyproxy/gateway
//! a client that joined: its identity      ─▶ Joined    /var/lib/anyproxy-client
//! ```
//!
//! Flags are written into the unit, and read from there at the next `install` or `status`: a unit is the one place
//! that says how a service runs.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    Place, ServiceError,
    plan::Plan,
    take::{self, Take},
};
use crate::{
    cli::{GatewayArgs, Kind, OwnServiceArgs},
    join, own,
    store::{Access, FILE, Store},
    values::{HostPort, advertised, listen},
};

/// What a service runs from.
pub(super) enum Basis {
    /// Nothing yet.
    Nothing,
    /// Its configuration file.
    File,
    /// What a gateway without a file makes for itself.
    Own(OwnGateway),
    /// The identity of a client that joined; a configuration may stand beside it.
    Joined(JoinedClient),
}

/// A gateway without a file.
pub(super) struct OwnGateway {
    pub(super) advertise: HostPort,
    /// Only if somebody said so.
    pub(super) listen: Option<SocketAddr>,
    /// Where it listens.
    pub(super) listening: SocketAddr,
    pub(super) directory: PathBuf,
    take: Option<PathBuf>,
}

/// A client that joined.
pub(super) struct JoinedClient {
    /// As `--forward` takes them, separated by commas.
    pub(super) forwards: Option<String>,
    pub(super) directory: PathBuf,
    take: Option<PathBuf>,
}

impl Basis {
    /// What the service at `place` runs from, or is to run from as `flags` say.
    pub(super) fn of(place: &Place, flags: &OwnServiceArgs) -> Result<Self, ServiceError> {
        refuse_foreign(place, flags)?;
        match place.side {
            Kind::Gateway => gateway(place, flags),
            Kind::Client => client(place, flags),
        }
    }

    /// Whether the service can run.
    pub(super) fn is_something(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// Brings what it runs from to where the service finds it.
    pub(super) fn take_over(&self, plan: &mut Plan) {
        match self {
            Self::Own(OwnGateway { take: Some(from), directory, .. }) => {
                plan.take(Take::gateway(from, directory));
            }
            Self::Joined(JoinedClient { take: Some(from), directory, .. }) => {
                plan.say(format!(
                    "Stop the client that ran from {}, if it still runs",
                    from.display()
                ));
                plan.take(Take::client(from, directory));
            }
            Self::Nothing | Self::File | Self::Own(_) | Self::Joined(_) => {}
        }
    }
}

/// A flag of the other side, or beside a file that says it, would have no effect.
fn refuse_foreign(place: &Place, flags: &OwnServiceArgs) -> Result<(), ServiceError> {
    let of_gateway = [
        ("--advertise", flags.advertise.is_some()),
        ("--listen", flags.listen.is_some()),
        ("--data-dir", flags.data_dir.is_some()),
    ];
    let of_client =
        [("--state-dir", flags.state_dir.is_some()), ("--forward", !flags.forward.is_empty())];
    let given = |flags: &[(&'static str, bool)]| {
        flags.iter().find(|(_, given)| *given).map(|(flag, _)| *flag)
    };
    let (foreign, own) = match place.side {
        Kind::Gateway => (given(&of_client), given(&of_gateway)),
        // An identity may stand beside a file.
        Kind::Client => (given(&of_gateway), given(&of_client[1..])),
    };
    if let Some(flag) = foreign {
        return Err(ServiceError::OtherSide(flag));
    }
    match own.filter(|_| place.config.exists()) {
        Some(flag) => Err(ServiceError::HasFile { flag, config: place.config.clone() }),
        None => Ok(()),
    }
}

fn gateway(place: &Place, flags: &OwnServiceArgs) -> Result<Basis, ServiceError> {
    if place.config.exists() {
        return Ok(Basis::File);
    }
    let installed = Installed::read(place);
    let directory = match (place.user, &flags.data_dir) {
        (true, Some(named)) => absolute(named)?,
        (true, None) => {
            installed.value(DATA_DIR).map(PathBuf::from).map_or_else(|| place.own_dir(), Ok)?
        }
        (false, _) => place.own_dir()?,
    };
    let take = match &flags.data_dir {
        Some(from) if !place.user && !same(from, &directory) => from_data_dir(from, &directory)?,
        Some(_) | None => None,
    };
    let advertise = match &flags.advertise {
        Some(address) => Some(address.clone()),
        None => match installed.value(ADVERTISE).and_then(|text| advertised(text).ok()) {
            Some(address) => Some(address),
            None => told(take.as_ref().unwrap_or(&directory))?,
        },
    };
    let Some(advertise) = advertise else { return Ok(Basis::Nothing) };
    let listen = flags.listen.or_else(|| listen(installed.value(LISTEN)?).ok());
    let args = GatewayArgs { listen, advertise: Some(advertise.clone()), ..GatewayArgs::default() };
    let listening = own::listening(&args)?;
    Ok(Basis::Own(OwnGateway { advertise, listen, listening, directory, take }))
}

/// The directory to take over; `None` if that was done before.
fn from_data_dir(from: &Path, to: &Path) -> Result<Option<PathBuf>, ServiceError> {
    match (from.join(FILE).exists(), to.join(FILE).exists()) {
        (true, false) => {
            drop(take::check(from)?);
            Ok(Some(from.into()))
        }
        (false, true) => Ok(None),
        (true, true) => Err(ServiceError::Already(to.into())),
        (false, false) => Err(ServiceError::NoGateway(from.into())),
    }
}

/// The address at which the gateway of this directory said that clients reach it.
fn told(directory: &Path) -> Result<Option<HostPort>, ServiceError> {
    let Some(store) = Store::open(directory, Access::Read)? else { return Ok(None) };
    Ok(store.advertised()?.and_then(|text| advertised(&text).ok()))
}

fn client(place: &Place, flags: &OwnServiceArgs) -> Result<Basis, ServiceError> {
    let installed = Installed::read(place);
    let forwards = match flags.forward.as_slice() {
        [] => installed.value(FORWARD).map(str::to_owned),
        forwards => Some(forwards.join(",")),
    };
    let joined = |directory, take| {
        let forwards = forwards.filter(|_| !place.config.exists());
        Ok(Basis::Joined(JoinedClient { forwards, directory, take }))
    };
    if place.user {
        let named = match (&flags.state_dir, installed.value(STATE_DIR)) {
            (Some(named), _) => Some(absolute(named)?),
            (None, kept) => kept.map(PathBuf::from),
        };
        let (is_named, directory) = match named {
            Some(named) => (true, named),
            None => (false, place.own_dir()?),
        };
        return match (join::has_identity(&directory)?, is_named, place.config.exists()) {
            (true, true, _) | (true, false, false) => joined(directory, None),
            (false, _, false) if flags.state_dir.is_some() => {
                Err(join::JoinError::NotJoined(directory).into())
            }
            (_, _, true) => Ok(Basis::File),
            (false, _, false) => Ok(Basis::Nothing),
        };
    }
    let directory = place.own_dir()?;
    let has = join::has_identity(&directory)?;
    let named = flags.state_dir.clone().filter(|from| !same(from, &directory));
    if let Some(from) = named {
        return match (join::has_identity(&from)?, has) {
            (true, false) => joined(directory, Some(from)),
            (false, true) => joined(directory, None),
            (true, true) => Err(ServiceError::Already(directory)),
            (false, false) => Err(join::JoinError::NotJoined(from).into()),
        };
    }
    if has {
        return joined(directory, None);
    }
    if place.config.exists() {
        return Ok(Basis::File);
    }
    match place.usual_state_dir() {
        Some(from) if join::has_identity(&from)? => joined(directory, Some(from)),
        Some(_) | None => Ok(Basis::Nothing),
    }
}

/// Lines of a unit that were written for a service without a file.
pub(super) const ADVERTISE: &str = "ANYPROXY_ADVERTISE";
pub(super) const LISTEN: &str = "ANYPROXY_LISTEN";
pub(super) const DATA_DIR: &str = "ANYPROXY_DATA_DIR";
pub(super) const STATE_DIR: &str = "ANYPROXY_STATE_DIR";
pub(super) const FORWARD: &str = "ANYPROXY_FORWARD";

/// The service's unit as it is installed; empty if it is not.
struct Installed(String);

impl Installed {
    fn read(place: &Place) -> Self {
        Self(fs::read_to_string(place.service()).unwrap_or_default())
    }

    fn value(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| -> Option<usize> {
            let rest = line.strip_prefix("Environment=")?.strip_prefix(name)?.strip_prefix('=')?;
            Some(line.len().saturating_sub(rest.len()))
        };
        self.0
            .lines()
            .find_map(|line| line.get(of(line)?..))
            .filter(|value| !value.starts_with('%'))
    }
}

fn absolute(path: &Path) -> Result<PathBuf, ServiceError> {
    std::path::absolute(path).map_err(|cause| ServiceError::File { path: path.into(), cause })
}

/// Whether both are one directory, whichever way they are written.
fn same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}
