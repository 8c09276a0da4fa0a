//! Where a service's files are.

use std::path::{Path, PathBuf};

use super::ServiceError;
use crate::cli::{Kind, ServiceFlags};

/// The directory that is there while systemd is the init system (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// The directory of the gateway's state, as its unit has it.
const DATA: &str = "/var/lib/anyproxy";

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
