//! Why a proxy does not let a tunnel through, and what a person can do about it.

use std::io;

use anyproxy_wire::connect_reply::{BadReply, Reply};

/// Why there is no connection through a proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Its name could not be looked up.
    #[error("its name cannot be looked up: {0}")]
    Resolve(io::Error),
    /// It cannot be reached.
    #[error("it cannot be reached: {0}")]
    Connect(io::Error),
    /// Its own certificate is not accepted, or it speaks no TLS.
    #[error("no TLS with it: {0}")]
    Tls(String),
    /// It wants a name and a password, and there are none.
    #[error(
        "it wants a user and a password (407{0}): put the user into `proxy` and the password into \
         `proxy_password_file` or ANYPROXY_PROXY_PASSWORD"
    )]
    LoginWanted(String),
    /// It does not take the name and password.
    #[error(
        "it does not accept the user and the password ({status}{reason}): check the user in `proxy` \
         and the password"
    )]
    LoginRefused {
        /// 407, or 401, as tinyproxy has it.
        status: u16,
        /// Its words, after a space.
        reason: String,
    },
    /// It does not offer Basic authentication.
    #[error(
        "it wants an authentication other than Basic (407, {0}): run a relay that speaks it, such \
         as cntlm, and name that as `proxy`"
    )]
    OtherScheme(String),
    /// It lets nobody through to the gateway.
    #[error(
        "it does not let us through (403{0}): have the gateway allowed there; many proxies let \
         only port 443 through"
    )]
    Forbidden(String),
    /// It could not reach the gateway.
    #[error("it cannot reach the gateway ({status}{reason}): check the gateway's name and port")]
    BadGateway {
        /// 502, 503 or 504.
        status: u16,
        /// Its words, after a space.
        reason: String,
    },
    /// It said no in another way.
    #[error("it answered {status}{reason}: is it a proxy that knows CONNECT?")]
    Refused {
        /// The status.
        status: u16,
        /// Its words, after a space.
        reason: String,
    },
    /// What it answered is no HTTP.
    #[error("{0}: is it an HTTP proxy?")]
    Garbage(#[from] BadReply),
    /// It ended the connection instead of answering.
    #[error("it closed the connection without an answer")]
    Closed,
    /// The connection to it broke.
    #[error("the connection to it broke: {0}")]
    Broken(io::Error),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    TimedOut,
}

/// Whether we said who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoggedIn {
    Yes,
    No,
}

impl ProxyError {
    /// What a reply other than 2xx means.
    pub(super) fn of(reply: &Reply, logged_in: LoggedIn) -> Self {
        let (status, reason) = (reply.status, spaced(&reply.reason));
        match status {
            407 if !reply.schemes.is_empty() && !reply.offers("basic") => {
                Self::OtherScheme(reply.schemes.join(", "))
            }
            401 | 407 if logged_in == LoggedIn::Yes => Self::LoginRefused { status, reason },
            407 => Self::LoginWanted(reason),
            403 => Self::Forbidden(reason),
            502..=504 => Self::BadGateway { status, reason },
            status => Self::Refused { status, reason },
        }
    }
}

fn spaced(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" {reason}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// tinyproxy answers a wrong password with 401, and none with 407.
    #[test]
    fn a_401_is_about_the_password_that_was_sent() {
        let reply = Reply { status: 401, reason: "Unauthorized".into(), schemes: vec![] };
        let error = ProxyError::of(&reply, LoggedIn::Yes);
        assert!(matches!(error, ProxyError::LoginRefused { status: 401, .. }), "{error}");
        assert!(error.to_string().contains("(401 Unauthorized)"), "{error}");
        let error = ProxyError::of(&reply, LoggedIn::No);
        assert!(matches!(error, ProxyError::Refused { status: 401, .. }), "{error}");
    }
}
