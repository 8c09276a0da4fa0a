//! The HTTP proxy.
//!
//! ```text
//! connection ─┬─ h1 ─┬─▶ log-in ─▶ what is asked? ─┬─ CONNECT ─▶ open ─▶ 200, then raw bytes
//!  (tls) ─────┴─ h2 ─┘                             └─ http://… ─▶ forward ─▶ the response
//! ```
//!
//! [`h1`] and [`h2`] speak to the user, hyper's client to the target; what passes between them is
//! decided here and in [`forward`], once for both.
//!
//! A user who closes, or only half-closes, while a request is under way is taken to be gone, as
//! most proxies do: on TCP both look alike, and a leaver must not leave an open behind. Behind a
//! CONNECT half-closing works, and so does closing behind bytes that were sent early.

pub mod auth;
mod body;
mod exchange;
mod expect;
mod forward;
mod h1;
mod h2;
mod headers;
mod interim;
mod io;
mod kept;
mod pace;
mod response;
pub mod target;
mod tls;
mod upstream;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyproxy_transport::Stream;
use anyproxy_wire::message::Ingress as Entrance;
use http::{HeaderMap, Response, request};
use hyper::upgrade::OnUpgrade;

pub use self::{h1::serve, kept::Kept, tls::serve as serve_tls};

use self::{
    auth::Login,
    body::{Reply, UserBody},
    interim::Informant,
    kept::LineId,
    pace::Pace,
    response::Problem,
    target::Asked,
};
use super::{Authenticate, Denied, Ends, Ingress, Outcome, Route, User, close, target::TargetAddr};

/// What is buffered at most of each HTTP/1 connection and direction, in bytes. It also bounds a
/// head: a longer one is answered with 431.
const MOST_BUFFERED: usize = 64 * 1024;

/// Fields of a head at most, over HTTP/1. hyper takes 64 bytes for each while it parses, and for no
/// longer.
const MOST_FIELDS: usize = 1000;

/// What belongs to one user's connection.
#[derive(Debug)]
struct Line {
    id: LineId,
    ends: Ends,
    pace: Arc<Pace>,
    kept: Arc<Kept>,
    /// A response body broke off.
    truncated: Arc<AtomicBool>,
    /// Somebody has logged in here.
    trusted: AtomicBool,
}

impl Line {
    fn new(ends: Ends, pace: Arc<Pace>, kept: &Arc<Kept>) -> Arc<Self> {
        Arc::new(Self {
            id: kept.line(),
            ends,
            pace,
            kept: kept.clone(),
            truncated: Arc::default(),
            trusted: AtomicBool::new(false),
        })
    }

    /// Closes the kept connections that nobody else may use.
    fn leave(&self) {
        self.kept.leave(self.id);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Answers requests, whichever protocol they came by.
#[derive(Debug)]
struct Proxy<R, A> {
    ingress: Arc<Ingress<R, A>>,
    line: Arc<Line>,
}

impl<R, A> Clone for Proxy<R, A> {
    fn clone(&self) -> Self {
        Self { ingress: self.ingress.clone(), line: self.line.clone() }
    }
}

/// What becomes of a request.
#[derive(Debug)]
enum Answer {
    /// A response, ours or the target's.
    Response(Response<Reply>),
    /// CONNECT: the target's bytes are to follow a 200.
    Tunnel(Stream),
    /// 101: the bytes of another protocol are to follow this response.
    Switched(Response<Reply>, OnUpgrade),
}

impl<R: Route, A: Authenticate> Proxy<R, A> {
    /// The answer to a request; 1xx of the target go to `informant`. Dropping the future gives the
    /// request up, and a pending open with it.
    async fn answer(&self, head: request::Parts, body: UserBody, informant: Informant) -> Answer {
        match self.try_answer(head, body, informant).await {
            Ok(answer) => answer,
            Err(problem) => Answer::Response(problem.response(&self.ingress.name, &self.line.pace)),
        }
    }

    async fn try_answer(
        &self,
        head: request::Parts,
        body: UserBody,
        informant: Informant,
    ) -> Result<Answer, Problem> {
        // Before the log-in: somebody who takes the proxy for a web server has none.
        let asked = Asked::of(&head).map_err(|wrong| Problem::bad_request(wrong.to_string()))?;
        let user = self.log_in(&head.headers).await?;
        match asked {
            Asked::Tunnel(target) => self.connect(&target, &user).await,
            Asked::Forward(origin) => {
                let request = forward::Asking { head, body, informant };
                forward::forward(self, request, origin, user).await
            }
        }
    }

    async fn connect(&self, target: &TargetAddr, user: &User) -> Result<Answer, Problem> {
        let opened = upstream::open(self, Entrance::HttpConnect, target, user).await;
        let opened = opened.map_err(|failure| Outcome::of(&failure, target.as_str()))?;
        self.line.pace.answered_by(pace::Author::Target);
        Ok(Answer::Tunnel(opened.stream))
    }

    async fn log_in(&self, headers: &HeaderMap) -> Result<User, Problem> {
        let peer = self.line.ends.peer;
        let Some(login) = Login::of(headers) else {
            return Err(Problem::login_needed("log in with a user name and password"));
        };
        let check = self.ingress.credentials.check_user(login.name(), login.password(), peer.ip());
        match self.ingress.deadline().bound(check).await {
            Ok(Ok(user)) => {
                self.line.trusted.store(true, Ordering::Relaxed);
                Ok(user)
            }
            Ok(Err(Denied::Wrong)) => {
                tracing::debug!(%peer, "a proxy log-in failed");
                Err(Problem::login_needed("unknown user or wrong password"))
            }
            Ok(Err(Denied::Busy)) | Err(_) => Err(Problem::busy()),
        }
    }
}

#[cfg(test)]
mod tests;
