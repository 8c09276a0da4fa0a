//! Why there is no session.

use anyproxy_transport::{DialError, LoginError, Method, TunnelError};
use anyproxy_wire::{codes::CloseCode, message::Goaway};

use crate::path::Obstacle;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error("the session ended: {0}")]
    Over(TunnelError),
    #[error("the gateway takes no new connections: {}", .0.reason)]
    Leaving(Goaway),
    /// Neither transport came through.
    #[error("{0}; and {1}")]
    Both(Box<Failure>, Box<Failure>),
}

impl Failure {
    /// What the gateway said, before or after Welcome.
    pub(crate) fn code(&self) -> Option<CloseCode> {
        match self {
            Self::Login(LoginError::Refused(refuse)) => Some(refuse.code),
            Self::Over(error) => error.code(),
            Self::Login(_) | Self::Dial(_) | Self::Leaving(_) | Self::Both(..) => None,
        }
    }

    /// Whether there was a session before.
    pub(crate) fn had_session(&self) -> bool {
        matches!(self, Self::Over(_) | Self::Leaving(_))
    }

    pub(crate) fn is_superseded(&self) -> bool {
        self.code() == Some(CloseCode::Superseded)
    }

    /// Whose no it is.
    pub(crate) fn obstacle(&self) -> Obstacle {
        match self {
            Self::Login(error) if error.is_refusal() => Obstacle::Gateway,
            Self::Login(_) | Self::Dial(_) | Self::Over(_) | Self::Leaving(_) | Self::Both(..) => {
                Obstacle::Way
            }
        }
    }

    /// This one after an `earlier` one; what the gateway said is all that counts.
    pub(crate) fn after(self, earlier: Option<Self>) -> Self {
        match (earlier, self.obstacle()) {
            (Some(earlier), Obstacle::Way) => Self::Both(Box::new(earlier), Box::new(self)),
            (None, _) | (Some(_), Obstacle::Gateway) => self,
        }
    }

    /// Names the fix where there is one.
    pub(crate) fn explain(&self, method: Method) -> String {
        let fix = match self {
            Self::Login(LoginError::Refused(refuse)) if refuse.code == CloseCode::Unauthorised => {
                match method {
                    Method::Secret | Method::Password => "; check group and secret on both sides",
                    Method::Key => {
                        "; if it was revoked, join again with a new token: on the gateway, run \
                         `anyproxy token create`"
                    }
                    // The gateway tells the fix.
                    Method::Certificate => "",
                }
            }
            // An older gateway cannot say which side that is.
            _ if self.code() == Some(CloseCode::NoCommonVersion) => {
                "; `anyproxy --version` on both machines says which side is older: upgrade that one"
            }
            _ if self.is_superseded() => {
                "; if two clients run at once, give each its own client_id"
            }
            Self::Dial(_) | Self::Login(_) | Self::Over(_) | Self::Leaving(_) | Self::Both(..) => {
                ""
            }
        };
        format!("{self}{fix}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyproxy_wire::message::Refuse;

    use super::*;

    #[test]
    fn another_version_is_explained_with_what_to_do() {
        let (code, reason) = (CloseCode::NoCommonVersion, "no common version: …".to_owned());
        let refuse = Refuse { code, reason, retry_after: Duration::ZERO };
        let said = Failure::Login(LoginError::Refused(refuse)).explain(Method::Secret);
        assert!(said.contains("(no common version: …); `anyproxy --version`"), "{said}");
        assert!(said.ends_with("which side is older: upgrade that one"), "{said}");
    }
}
