//! Takes changed files over into the running gateway.
//!
//! ```text
//! SIGHUP ──────────────────────▶ settings, read as at the start ─┬─▶ certificates
//! once a minute, if certificate ─▶ settings, the same ───────────┤    (new handshakes see the new ones)
//! files have changed                                             └─▶ groups (SIGHUP only)
//! ```
//!
//! Either everything that was read will do, or nothing changes: what is wrong is logged with its fix, and the
//! gateway goes on as it was. Addresses, transports, bounds and the log are fixed from the start on; if they
//! were changed, the log names them.

use std::sync::Arc;

use anyproxy_gateway::Gateway;
use anyproxy_transport::Behind;

use super::{follow::Feed, vouched::Vouched};
use crate::{
    admin::Expiries,
    cli::{GatewayArgs, LogArgs},
    config::ConfigError,
    failure::chain,
    settings::{GatewayLimits, GatewaySettings, Loaded, Process},
    watched::Watched,
};

/// From what the settings are read, at the start and later.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// The command line.
    pub(crate) args: GatewayArgs,
    /// The command line's part about the log.
    pub(crate) log: LogArgs,
}

impl Sources {
    /// Reads flags, environment and files.
    ///
    /// # Errors
    ///
    /// The first thing with which a gateway could not start.
    pub(crate) fn load(&self) -> Result<Loaded<GatewaySettings>, ConfigError> {
        GatewaySettings::load(&self.args, &self.log, &mut Process)
    }
}

/// Reads the settings again.
#[derive(Debug)]
pub(super) struct Reloader {
    sources: Sources,
    fixed: Vec<(&'static str, String)>,
    certificates: Watched,
    /// What was last logged about certificate files that changed but will not do.
    trouble: Option<Trouble>,
    expiries: Arc<Expiries>,
}

impl Reloader {
    /// Of a gateway that starts with `settings`.
    pub(super) fn new(sources: Sources, settings: &GatewaySettings) -> Self {
        let certificates = Watched::new(settings.certificate_files.clone());
        let expiries = Arc::<Expiries>::default();
        expiries.set(settings);
        Self { sources, fixed: fixed(settings), certificates, trouble: None, expiries }
    }

    /// When the certificates expire that are shown.
    pub(super) fn expiries(&self) -> Arc<Expiries> {
        Arc::clone(&self.expiries)
    }

    /// Takes over certificates and groups.
    pub(super) async fn all(&mut self, feed: &mut Feed, gateway: &Gateway) {
        let before = self.certificates.look().await;
        let settings = match self.load().await {
            Ok(Loaded { settings, warnings }) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                settings
            }
            Err(trouble) => return trouble.log(),
        };
        let files = settings.certificate_files.clone();
        self.certificates = Watched { files, seen: before };
        self.trouble = None;
        for name in changed(&self.fixed, &fixed(&settings)) {
            tracing::warn!(
                "`{name}` was changed, which takes effect when the gateway starts again"
            );
        }
        show(&settings, gateway);
        self.expiries.set(&settings);
        Vouched::of(&settings).keep_aside().await;
        feed.reload(settings.groups, &settings.stored, gateway);
        tracing::info!("reloaded: certificates and groups are those of the files now");
    }

    /// Waits until a certificate file is another one than before. Cancel safe.
    pub(super) async fn certificates_changed(&self) {
        self.certificates.changed().await;
    }

    /// Takes over the certificates alone: somebody may be editing the configuration file.
    pub(super) async fn certificates(&mut self, gateway: &Gateway) {
        let before = self.certificates.look().await;
        match self.load().await {
            Ok(Loaded { settings, .. }) => {
                self.certificates.seen = before;
                self.trouble = None;
                show(&settings, gateway);
                self.expiries.set(&settings);
                Vouched::of(&settings).keep_aside().await;
                tracing::info!(
                    "the certificate files have changed; new connections see the new ones"
                );
            }
            // Perhaps only one of certificate and key is there yet: it is tried again in a minute.
            Err(trouble) => {
                if self.trouble.as_ref() != Some(&trouble) {
                    trouble.log();
                    self.trouble = Some(trouble);
                }
            }
        }
    }

    /// Off the runtime's threads, because disks may be slow.
    async fn load(&self) -> Result<Loaded<GatewaySettings>, Trouble> {
        let sources = self.sources.clone();
        match tokio::task::spawn_blocking(move || sources.load()).await {
            Ok(loaded) => loaded.map_err(|error| Trouble::of(&error)),
            // It panicked, which is logged.
            Err(error) => Err(Trouble { text: error.to_string(), fix: String::new() }),
        }
    }
}

/// Why nothing was reloaded.
#[derive(Debug, PartialEq, Eq)]
struct Trouble {
    text: String,
    fix: String,
}

impl Trouble {
    fn of(error: &ConfigError) -> Self {
        Self { text: chain(error), fix: error.fix().unwrap_or_default() }
    }

    fn log(&self) {
        tracing::error!(error = %self.text, fix = %self.fix,
            "nothing was reloaded; the gateway goes on as it was");
    }
}

fn show(settings: &GatewaySettings, gateway: &Gateway) {
    gateway.set_identity(&settings.identity);
    if let Some(https) = &settings.https {
        gateway.set_https_identity(&https.identity);
    }
}

/// What cannot change while the gateway runs, by its name in the configuration file.
fn fixed(settings: &GatewaySettings) -> Vec<(&'static str, String)> {
    let https = settings.https.as_ref().map(|https| &https.addrs);
    let Behind { socket, trusted, told_by } = &settings.behind;
    let mut fixed = vec![
        ("listen", format!("{:?}", settings.listen)),
        ("transport", format!("{:?}", settings.transport)),
        ("congestion", format!("{:?}", settings.congestion)),
        ("ws_path", format!("{:?}", settings.ws_path)),
        ("ws_socket", format!("{socket:?}")),
        ("trusted_proxies", format!("{trusted:?}")),
        ("trusted_header", format!("{told_by:?}")),
        ("tls12", format!("{:?}", settings.oldest_tls)),
        ("http", format!("{:?}", settings.http)),
        ("https", format!("{https:?}")),
        ("socks5", format!("{:?}", settings.socks5)),
        ("mixed", format!("{:?}", settings.mixed)),
        ("data_dir", format!("{:?}", settings.data_dir)),
        ("admin", format!("{:?}", settings.admin.addr)),
        ("status_socket", format!("{:?}", settings.admin.socket)),
        ("log", format!("{:?}", settings.log)),
    ];
    fixed.extend(bounds(settings.limits));
    fixed
}

/// Those of `[limits]`, and `drain`. Each is taken by its name, so that none can be forgotten.
fn bounds(limits: GatewayLimits) -> [(&'static str, String); 18] {
    let GatewayLimits {
        drain,
        proxy_timeout,
        stall_budget,
        max_streams,
        handshake_timeout,
        max_handshakes,
        max_handshakes_per_address,
        max_unproven,
        max_sessions,
        max_users,
        max_users_per_address,
        max_forwards,
        max_flows,
        max_port_flows,
        flow_idle,
        bandwidth,
        ping_interval,
        dead_after,
    } = limits;
    [
        ("drain", format!("{drain:?}")),
        ("proxy_timeout", format!("{proxy_timeout:?}")),
        ("stall_budget", format!("{stall_budget}")),
        ("max_streams", format!("{max_streams}")),
        ("handshake_timeout", format!("{handshake_timeout:?}")),
        ("max_handshakes", format!("{max_handshakes:?}")),
        ("max_handshakes_per_address", format!("{max_handshakes_per_address:?}")),
        ("max_unproven", format!("{max_unproven}")),
        ("max_sessions", format!("{max_sessions:?}")),
        ("max_users", format!("{max_users:?}")),
        ("max_users_per_address", format!("{max_users_per_address:?}")),
        ("max_forwards", format!("{max_forwards:?}")),
        ("max_flows", format!("{max_flows}")),
        ("max_port_flows", format!("{max_port_flows}")),
        ("flow_idle", format!("{flow_idle:?}")),
        ("bandwidth", format!("{bandwidth:?}")),
        ("ping_interval", format!("{ping_interval:?}")),
        ("dead_after", format!("{dead_after:?}")),
    ]
}

/// Names of what differs.
fn changed<'a>(
    before: &'a [(&'static str, String)],
    now: &'a [(&'static str, String)],
) -> impl Iterator<Item = &'static str> + 'a {
    let differs = before.iter().zip(now).filter(|(before, now)| before != now);
    differs.map(|((name, _), _)| *name)
}

#[cfg(test)]
mod tests;
