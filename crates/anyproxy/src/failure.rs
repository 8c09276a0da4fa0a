//! Why a command failed, and how a person is told.

use std::{error::Error, fmt::Write as _, io};

use thiserror::Error;

use crate::{
    admin::AdminError, bench::BenchError, certs::CertsError, config::ConfigError, demo::DemoError,
    health::HealthError, help::ManError, import::ImportError, join::JoinError, logging::LogError,
    manage::ManageError, own::OwnError, password::PasswordError, service::ServiceError,
    status::StatusError, store::StoreError,
};

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// A setting will not do.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Certificates could not be made.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// A hash or secret could not be made.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Groups, tokens or clients could not be managed.
    #[error(transparent)]
    Manage(#[from] ManageError),
    /// A gateway without a configuration file could not make what it needs.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// What a client needs to join is not there.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A foreign configuration could not be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The manual pages could not be written.
    #[error(transparent)]
    Man(#[from] ManError),
    /// A service could not be managed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The log could not be started.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A service could not start, or ended.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Files that were checked have errors.
    #[error("{0} of the files cannot be used")]
    Check(usize),
    /// Checks of `doctor` failed; they are told already.
    #[error("{0} of the checks failed")]
    Doctor(usize),
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// The system gives no threads.
    #[error("cannot start threads")]
    Threads(#[source] io::Error),
}

/// Why a gateway, a client or the demo could not start, or ended.
#[derive(Debug, Error)]
pub enum RunError {
    /// The signals that end the program cannot be watched.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
    /// A socket that the service manager passed has no address.
    #[error("cannot use the sockets that the service manager passed")]
    Sockets(#[source] io::Error),
    /// The gateway did not start.
    #[error(transparent)]
    Gateway(#[from] anyproxy_gateway::StartError),
    /// The data directory that was named cannot be made.
    #[error(transparent)]
    Data(#[from] StoreError),
    /// What a gateway without a configuration file needs cannot be kept.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// The client could not join.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The client did not start.
    #[error(transparent)]
    Client(#[from] anyproxy_client::StartError),
    /// The demo could not be set up, or some of its transfers failed.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// A process cannot be asked about.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Nobody tells about itself.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// A measurement failed.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// Something that should answer does not.
    #[error(transparent)]
    Health(#[from] HealthError),
}

impl RunError {
    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Gateway(error) => gateway_fix(error),
            Self::Data(error) => error.fix(),
            Self::Admin(error) => Some(error.fix()),
            Self::Status(error) => Some(error.fix()),
            Self::Own(error) => error.fix(),
            Self::Join(error) => error.fix(),
            Self::Bench(error) => error.fix(),
            Self::Signals(_)
            | Self::Sockets(_)
            | Self::Client(_)
            | Self::Demo(_)
            | Self::Health(_) => None,
        }
    }
}

/// What a person can do when an address cannot be had.
fn gateway_fix(error: &anyproxy_gateway::StartError) -> Option<String> {
    use anyproxy_gateway::StartError;
    use anyproxy_transport::ListenError;
    let (addr, source) = match error {
        StartError::Tunnels(ListenError::Bind { addr, source, .. })
        | StartError::Ingress { addr, source, .. } => (addr, source),
        StartError::Tunnels(_) | StartError::Https(_) | StartError::Random(_) => return None,
    };
    let is = |kind| source.kind() == kind;
    if is(io::ErrorKind::AddrInUse) {
        Some(format!("end what listens on port {}, or choose another address", addr.port()))
    } else if is(io::ErrorKind::AddrNotAvailable) {
        Some(format!("{} is not an address of this machine", addr.ip()))
    } else if is(io::ErrorKind::PermissionDenied) {
        Some("ports under 1024 need the CAP_NET_BIND_SERVICE capability".into())
    } else {
        None
    }
}

impl Failure {
    /// The process's exit code: 2 for flags and settings that will not do (as for malformed flags), 3 for a
    /// service that is not installed, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Manage(ManageError::Config(_))
            | Self::Own(OwnError::Config(_))
            | Self::Service(ServiceError::Config(_))
            | Self::Join(JoinError::Token(_) | JoinError::Input(_)) => 2,
            // As systemctl.
            Self::Service(ServiceError::NotInstalled(_)) => 3,
            Self::Certs(_)
            | Self::Manage(_)
            | Self::Own(_)
            | Self::Join(_)
            | Self::Import(_)
            | Self::Service(_)
            | Self::Man(_)
            | Self::Password(_)
            | Self::Log(_)
            | Self::Run(_)
            | Self::Check(_)
            | Self::Doctor(_)
            | Self::Output(_)
            | Self::Threads(_) => 1,
        }
    }

    /// The whole message: what failed, why, where, and what to do.
    #[must_use]
    pub fn message(&self) -> String {
        explain(self, self.excerpt().as_deref(), self.fix().as_deref())
    }

    fn excerpt(&self) -> Option<String> {
        match self {
            Self::Config(error)
            | Self::Manage(ManageError::Config(error))
            | Self::Service(ServiceError::Config(error)) => error.excerpt(),
            Self::Certs(_)
            | Self::Manage(_)
            | Self::Own(_)
            | Self::Join(_)
            | Self::Import(_)
            | Self::Service(_)
            | Self::Man(_)
            | Self::Password(_)
            | Self::Log(_)
            | Self::Run(_)
            | Self::Check(_)
            | Self::Doctor(_)
            | Self::Output(_)
            | Self::Threads(_) => None,
        }
    }

    fn fix(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.fix(),
            Self::Certs(error) => error.fix(),
            Self::Password(PasswordError::Input(problem)) => problem.fix(),
            Self::Manage(error) => error.fix(),
            Self::Own(error) => error.fix(),
            Self::Join(error) => error.fix(),
            Self::Import(error) => error.fix(),
            Self::Service(error) => error.fix(),
            Self::Log(error) => Some(error.fix()),
            Self::Run(error) => error.fix(),
            Self::Password(_)
            | Self::Man(_)
            | Self::Check(_)
            | Self::Doctor(_)
            | Self::Output(_)
            | Self::Threads(_) => None,
        }
    }
}

/// An error with its causes on one line, then the place it points at, then what to do.
#[must_use]
pub(crate) fn explain(error: &dyn Error, excerpt: Option<&str>, fix: Option<&str>) -> String {
    let mut text = format!("anyproxy: error: {}", chain(error));
    for (before, part) in [("", excerpt), ("  fix: ", fix)] {
        if let Some(part) = part {
            // Writing to a string cannot fail.
            let _always = write!(text, "\n{before}{part}");
        }
    }
    text
}

/// An error with its causes on one line.
#[must_use]
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _always = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
