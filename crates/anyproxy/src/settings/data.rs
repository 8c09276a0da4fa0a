//! The data directory, and what is in it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{gateway::TUNNEL_PORT, input::Input};
use crate::{
    cli::StoreArgs,
    config::{
        ConfigError, Place, Problem,
        raw::{RawGateway, Text},
        writable_mode,
    },
    failure::chain,
    groups::{GroupOutline, GroupSettings},
    own::places,
    settings::{Outside, Warning},
    store::{Access, FILE, Store},
    values::{HostPort, advertised, listen},
};

/// The directory that is used when none is named, beside the configuration file.
const DEFAULT: &str = "anyproxy-data";

/// The directory in which a gateway keeps what outlives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataDir {
    /// A person named it.
    Named(PathBuf),
    /// The one beside the configuration file.
    Default(PathBuf),
}

impl DataDir {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Named(path) | Self::Default(path) => path,
        }
    }

    /// Whether a person named it.
    #[must_use]
    pub fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }
}

/// The flag's directory, the file's, or the one beside the file. Without a file there is no default: the
/// gateway and a command that changes its groups would have to guess the same.
pub(super) fn data_dir(
    input: &Input<'_>,
    flag: Option<&Path>,
    raw: Option<&Text>,
) -> Option<DataDir> {
    match input.pick_path(flag.map(|path| ("--data-dir", path)), raw) {
        Some(given) => Some(DataDir::Named(given.value)),
        None => input.source.as_ref().map(|source| DataDir::Default(source.resolve(DEFAULT))),
    }
}

/// The groups of the store in `dir`; `None` when there is no store.
pub(super) fn stored(
    input: &mut Input<'_>,
    dir: &DataDir,
) -> Result<Option<Vec<GroupSettings>>, ConfigError> {
    let read = || {
        let Some(store) = Store::open(dir.path(), Access::Read)? else { return Ok(None) };
        store.groups().map(Some)
    };
    let groups = read().map_err(|error: crate::store::StoreError| {
        let fix = error.fix().unwrap_or_default();
        ConfigError::new(Place::Start, Problem::Refused { what: chain(&error), fix })
    })?;
    note_open(input, dir.path());
    Ok(groups)
}

/// Notes that others can read what is secret in the data directory, or write there.
fn note_open(input: &mut Input<'_>, directory: &Path) {
    if let Some(mode) = writable_mode(directory) {
        input.warnings.push(Warning::OpenDirectory { path: directory.into(), mode });
    }
    // The key and the certificate of the gateway are noted where they are read.
    for name in [FILE, "ca.key", "default.password"] {
        input.note_open(&directory.join(name));
    }
}

/// What a command that manages groups has to know of a gateway.
#[derive(Debug)]
pub struct Premises {
    /// Where the store is, or would be.
    pub data_dir: DataDir,
    /// The configuration file, if one was named.
    pub config: Option<PathBuf>,
    /// The groups of that file.
    pub groups: Vec<GroupOutline>,
    /// The certificate chain that the file names, if it does.
    pub certificate: Option<PathBuf>,
    /// The port at which clients connect, as far as the file tells; 0: the system chooses.
    pub tunnel_port: u16,
    /// Where clients connect, if the file says so.
    pub listen: Option<SocketAddr>,
    /// The address at which clients reach the gateway, if the file says so.
    pub advertise: Option<HostPort>,
}

impl Premises {
    /// Reads the configuration file, but none of the files that it names.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or neither a file nor a directory is named.
    pub fn load(
        config: Option<&Path>,
        flag: Option<&Path>,
        outside: &mut dyn Outside,
    ) -> Result<Self, ConfigError> {
        let input = Input::open(config, outside)?;
        let raw: RawGateway = input.parse()?;
        let data_dir = data_dir(&input, flag, raw.data_dir.as_ref()).or_else(of_no_file);
        let data_dir = data_dir.ok_or_else(|| {
            input.error_whole(Problem::Missing {
                what: "it is not known whose groups are meant",
                fix: "name the gateway's configuration file with --config (or ANYPROXY_CONFIG), or \
                      its data directory with --data-dir (or ANYPROXY_DATA_DIR)",
            })
        })?;
        let listening = input.pick(None, raw.listen.as_ref(), listen)?;
        Ok(Self {
            tunnel_port: listening.map_or(TUNNEL_PORT, |addr| addr.port()),
            listen: listening,
            advertise: input.pick(None, raw.advertise.as_ref(), advertised)?,
            config: config.map(Into::into),
            groups: super::groups::outlines(&input, &raw.group)?,
            certificate: match &raw.certificate {
                Some(path) => Some(input.path(path).value),
                // What a gateway without a file has made for itself.
                None => Some(data_dir.path().join("gateway.crt")).filter(|path| path.exists()),
            },
            data_dir,
        })
    }

    /// The same, from the flags of other commands.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn of_store(args: &StoreArgs, outside: &mut dyn Outside) -> Result<Self, ConfigError> {
        Self::load(args.config.as_deref(), args.data_dir.as_deref(), outside)
    }
}

/// The data directory of a gateway without a file, if one has run.
fn of_no_file() -> Option<DataDir> {
    let directory = places::gateway()?;
    directory.join(FILE).exists().then_some(DataDir::Default(directory))
}
