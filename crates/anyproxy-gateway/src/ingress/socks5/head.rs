//! What a user says before anything is opened: greeting, log-in and request.

use super::{
    Ended, Visit,
    handshake::{self, Command, Login, Message, Methods, Violation},
    read_ahead,
};
use crate::ingress::{Authenticate, Denied, Ingress, Route, User, target::TargetAddr};

/// What a user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Target(TargetAddr),
    /// An association with this port of the user's.
    Association(u16),
}

impl Visit {
    /// Greeting, log-in and request.
    pub(super) async fn head<R: Route, A: Authenticate>(
        &mut self,
        ingress: &Ingress<R, A>,
    ) -> Result<(User, Asked), Ended> {
        let mut user = None;
        loop {
            let message = match self.message().await {
                Err(Ended::Violation(Violation::Socks4)) => {
                    self.send(&handshake::NO_SOCKS4).await?;
                    return Err(Violation::Socks4.into());
                }
                other => other?,
            };
            match message {
                Message::Greeting(Methods::WithPassword) => {
                    self.send(&handshake::CHOOSE_PASSWORD).await?;
                }
                Message::Greeting(Methods::Other) => {
                    self.send(&handshake::NO_METHOD).await?;
                    return Err(Ended::Refused("no log-in by user name and password".into()));
                }
                Message::Login(login) => user = Some(self.log_in(ingress, &login).await?),
                Message::Request(command) => {
                    // The handshake gives a request only behind a log-in.
                    let Some(user) = user else { return Err(Violation::Order.into()) };
                    return Ok((user, self.asked(command).await?));
                }
            }
        }
    }

    async fn log_in<R: Route, A: Authenticate>(
        &mut self,
        ingress: &Ingress<R, A>,
        login: &Login,
    ) -> Result<User, Ended> {
        let peer = self.ends.peer;
        match ingress.credentials.check_user(&login.name, &login.password, peer.ip()).await {
            Ok(user) => {
                self.send(&handshake::LOGIN_RIGHT).await?;
                Ok(user)
            }
            Err(denied) => {
                self.send(&handshake::LOGIN_WRONG).await?;
                Err(Ended::Refused(match denied {
                    Denied::Wrong => {
                        tracing::debug!(%peer, "a proxy log-in failed");
                        "unknown user or wrong password".into()
                    }
                    Denied::Busy => "too many log-in attempts".into(),
                }))
            }
        }
    }

    async fn asked(&mut self, command: Command) -> Result<Asked, Ended> {
        let (code, text) = match command {
            Command::Connect(Ok(target)) => return Ok(Asked::Target(target)),
            Command::Associate(port) => return Ok(Asked::Association(port)),
            Command::Connect(Err(bad)) => (handshake::FAILED, format!("the target {bad}")),
            Command::Unsupported(number) => {
                (handshake::NO_COMMAND, format!("command {number} is not supported"))
            }
            Command::UnknownAddress(kind) => {
                (handshake::NO_ADDRESS_TYPE, format!("address type {kind} is not known"))
            }
        };
        self.send(&handshake::reply(code)).await?;
        Err(Ended::Refused(text))
    }

    /// The next whole message of the handshake.
    async fn message(&mut self) -> Result<Message, Ended> {
        loop {
            if let Some(message) = self.handshake.next(&mut self.ahead)? {
                return Ok(message);
            }
            read_ahead(&mut self.conn, &mut self.ahead).await?;
        }
    }
}
