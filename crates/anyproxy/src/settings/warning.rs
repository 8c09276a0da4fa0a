//! What is not as it should be, but no reason to stop.

use std::{fmt, net::SocketAddr, path::PathBuf};

use crate::certs::Expiry;

/// Something that a person should set right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Others than the owner can read a file that holds a secret.
    OpenFile {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others than the owner can write to the directory that holds a gateway's keys and groups.
    OpenDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// `ANYPROXY_SECRET` is set, and the client has joined.
    NeedlessSecret,
    /// `ANYPROXY_SECRET` is set, and it is not clear for which of several groups.
    UnusedSecret,
    /// A variable such as `HTTPS_PROXY` does not name a proxy that can be used.
    UnusableProxy {
        /// The variable.
        variable: &'static str,
    },
    /// Metrics and health are served to others than this machine.
    OpenAdmin {
        /// Where.
        addr: SocketAddr,
    },
    /// A client's own certificate is over.
    Expired {
        /// Its file.
        path: PathBuf,
        /// Since when.
        expiry: Expiry,
    },
    /// A revocation list is used beyond its time.
    OldList {
        /// Its file.
        path: PathBuf,
        /// When a newer one was due.
        expiry: Expiry,
    },
    /// A password is sent inside TLS, and somebody else than the gateway's CA is trusted.
    ReadablePassword,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenFile { path, mode } => {
                let path = path.display();
                write!(f, "{path} holds a secret and others can read it (mode {mode:04o}); ")?;
                write!(f, "run: chmod 600 {path}")
            }
            Self::OpenDirectory { path, mode } => {
                let path = path.display();
                write!(f, "{path} holds the gateway's keys and groups and others can write to it ")?;
                write!(f, "(mode {mode:04o}), so they can replace them; run: chmod 700 {path}")
            }
            Self::NeedlessSecret => f.write_str(
                "ANYPROXY_SECRET is ignored, because this client has joined and uses a key of its own; \
                 unset it",
            ),
            Self::UnusableProxy { variable } => write!(
                f,
                "{variable} is ignored: it names no HTTP proxy; use `proxy` for another, or \
                 `proxy = \"off\"`"
            ),
            Self::OpenAdmin { addr } => write!(
                f,
                "`admin` listens on {addr}, which is not loopback, and asks nobody to log in: let a \
                 firewall keep others out, or use a port alone"
            ),
            Self::Expired { path, expiry } => write!(
                f,
                "{} expired on {expiry}, and no gateway takes it: renew it; a client that runs takes the \
                 new one by itself",
                path.display()
            ),
            Self::OldList { path, expiry } => write!(
                f,
                "{} holds a revocation list that was to be replaced by {expiry}, and is used still: what was \
                 revoked since is let in; get the CA's newest one and send the gateway SIGHUP",
                path.display()
            ),
            Self::ReadablePassword => f.write_str(
                "`method = \"password\"` with `extra_ca`: whoever holds that CA's key can read the \
                 password, as a proxy that inspects TLS does; use a generated secret",
            ),
            Self::UnusedSecret => f.write_str(
                "ANYPROXY_SECRET is ignored, because there is more than one group; give each its \
                 `secret_file`",
            ),
        }
    }
}
