//! Where a service's files are.

use std::path::{Path, PathBuf};

use super::ServiceError;
use crate::{
    cli::{Kind, ServiceFlags},
    own::places,
};

/// The directory that is there while systemd is the init system (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// The directory of the gateway's state, as its unit has it.
const DATA: &str = "/var/lib/anyproxy";

/// The directory of the client's state, as its unit has it.
const STATE: &str = "/var/lib/anyproxy-client";

/// Where the files of one service are.
pub(super) struct Place {
    pub(super) side: Kind,
    pub(super) user: bool,
    root: Option<PathBuf>,
    units_dir: PathBuf,
    /// Its configuration.
    pub(super) config: PathBuf,
}

impl Place {
    pub(super) fn of(flags: &ServiceFlags) -> Result<Self, ServiceError> {
        let below = |path: PathBuf| match &flags.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(&path)),
            None => path,
        };
        let name = match flags.side {
            Kind::Gateway => "gateway.toml",
            Kind::Client => "client.toml",
        };
        let (units_dir, config_dir) = if flags.user {
            let home = user_configs().ok_or(ServiceError::NoHome)?;
            (home.join("systemd/user"), home.join("anyproxy"))
        } else {
            let dir = match flags.side {
                Kind::Gateway => "/etc/anyproxy",
                Kind::Client => "/etc/anyproxy-client",
            };
            ("/etc/systemd/system".into(), dir.into())
        };
        Ok(Self {
            side: flags.side,
            user: flags.user,
            root: flags.root.clone(),
            units_dir: below(units_dir),
            config: below(config_dir.join(name)),
        })
    }

    /// Whether this is about the machine that runs, and not about files below another root.
    pub(super) fn is_live(&self) -> bool {
        self.root.is_none()
    }

    /// The names of the units.
    pub(super) fn units(&self) -> &'static [&'static str] {
        match (self.side, self.user) {
            (Kind::Gateway, false) => &["anyproxy-gateway.socket", "anyproxy-gateway.service"],
            (Kind::Gateway, true) => &["anyproxy-gateway.service"],
            (Kind::Client, _) => &["anyproxy-client.service"],
        }
    }

    /// Where a unit is.
    pub(super) fn unit(&self, name: &str) -> PathBuf {
        self.units_dir.join(name)
    }

    /// Where the definition of the service's user is, if it has one.
    pub(super) fn sysusers(&self) -> Option<PathBuf> {
        let has = self.side == Kind::Gateway && !self.user;
        has.then(|| self.below("/etc/sysusers.d/anyproxy.conf"))
    }

    /// All files of the service but its configuration.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.units().iter().map(|name| self.unit(name)).chain(self.sysusers()).collect()
    }

    pub(super) fn config_dir(&self) -> String {
        self.config.parent().unwrap_or(Path::new("/")).display().to_string()
    }

    /// The file of the service itself.
    pub(super) fn service(&self) -> PathBuf {
        self.unit(match self.side {
            Kind::Gateway => "anyproxy-gateway.service",
            Kind::Client => "anyproxy-client.service",
        })
    }

    /// Where a service without a configuration keeps what it runs from.
    pub(super) fn own_dir(&self) -> Result<PathBuf, ServiceError> {
        let path = match (self.side, self.user) {
            (Kind::Gateway, false) => return Ok(self.below(DATA).join("gateway")),
            (Kind::Client, false) => return Ok(self.below(STATE)),
            (Kind::Gateway, true) => places::gateway(),
            (Kind::Client, true) => places::client(),
        };
        let path = path.ok_or(ServiceError::NoHome)?;
        Ok(self.below(&path.to_string_lossy()))
    }

    /// Where a client that joined keeps its identity, if the user who runs this started it.
    pub(super) fn usual_state_dir(&self) -> Option<PathBuf> {
        match &self.root {
            Some(root) => Some(root.join("var/lib/anyproxy/client")),
            None => places::client(),
        }
    }

    /// What stays when the service is uninstalled, and is there.
    pub(super) fn kept(&self) -> Vec<String> {
        let state = match (self.side, self.user) {
            (_, true) => self.own_dir().ok(),
            (Kind::Gateway, false) => Some(self.below(DATA)),
            (Kind::Client, false) => Some(self.below(STATE)),
        };
        let config = self.config.parent().map(Path::to_path_buf);
        let there = [config, state].into_iter().flatten().filter(|path| path.exists());
        there.map(|path| path.display().to_string()).collect()
    }

    /// The directory of the gateway's state, if its unit names one.
    pub(super) fn data_dir(&self) -> Option<PathBuf> {
        (!self.user).then(|| self.below(DATA))
    }

    pub(super) fn systemctl(&self, words: &[&str]) -> Vec<String> {
        let scope = self.user.then_some("--user");
        let words = std::iter::once("systemctl").chain(scope).chain(words.iter().copied());
        words.map(str::to_owned).collect()
    }

    fn below(&self, path: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.trim_start_matches('/')),
            None => path.into(),
        }
    }
}

/// `~/.config`, or what stands for it.
fn user_configs() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))
}

/// Refuses where systemd does not run.
pub(super) fn require_systemd() -> Result<(), ServiceError> {
    if Path::new(BOOTED).is_dir() { Ok(()) } else { Err(ServiceError::NoSystemd) }
}
