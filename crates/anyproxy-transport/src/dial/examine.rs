//! The dialler of somebody who asks what is wrong.
//!
//! It dials as a client does, by the same code and with the same errors, and keeps what the gateway
//! showed on the way. One thing more it can do: ask what time it is there. An expired certificate
//! and a wrong clock look the same from here, and only the other end's clock tells them apart. For
//! that question alone a certificate is looked at as of a moment at which it was valid; issuer,
//! name or pin and the signature have to be right all the same, and nothing but the date is taken
//! from the answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyproxy_runtime::Deadline;
use rustls_pki_types::UnixTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::{Connected, DialConfig, DialConfigError, DialError, Dialer};
use crate::{
    handshake::Pipe,
    net::{Conn, Net, Role},
    proxy::{self, authority},
    tls::{Moment, Presented, Seen},
    tunnel::Transport,
};

/// Bytes of an answer's head that are read for its date.
const MAX_HEAD: usize = 8 * 1024;

/// Dials as a [`Dialer`] does, and keeps what the gateway showed.
pub struct Examiner {
    dialer: Dialer,
    quic: Seen,
    websocket: Seen,
    /// For the question what time it is there.
    timeless: TlsConnector,
}

impl std::fmt::Debug for Examiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examiner").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}

/// Why it is not known what time it is at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDate {
    /// There is no connection to a gateway whose certificate is right but for the time.
    #[error("the gateway could not be asked")]
    Unreachable,
    /// The answer has none.
    #[error("the gateway's answer has no date")]
    Unsaid,
}

/// What a QUIC connection knows of its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathSize {
    /// The largest UDP payload that is known to pass, in bytes. It grows for some round trips
    /// (RFC 8899).
    pub mtu: u16,
    /// The round-trip time.
    pub rtt: Duration,
}

impl Examiner {
    /// Looks at certificates as of `now`, which is what this machine takes for the time.
    ///
    /// # Errors
    /// See [`DialConfigError`].
    pub fn new(
        net: Arc<dyn Net>,
        config: DialConfig,
        now: SystemTime,
    ) -> Result<Self, DialConfigError> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let now = UnixTime::since_unix_epoch(now);
        let seen = || Arc::new(Mutex::new(None));
        let (quic, websocket): (Seen, Seen) = (seen(), seen());
        let (trust, oldest) = (&config.trust, config.oldest_tls);
        let timeless = trust.watched_websocket(oldest, seen(), Moment::Theirs(now))?;
        let tls = (
            trust.watched_quic(Arc::clone(&quic), Moment::At(now))?,
            trust.watched_websocket(oldest, Arc::clone(&websocket), Moment::At(now))?,
        );
        let dialer = Dialer::with_tls(net, config, tls)?;
        Ok(Self { dialer, quic, websocket, timeless: timeless.into() })
    }

    /// As [`Dialer::dial`].
    ///
    /// # Errors
    /// The [`DialError`] that a client would see.
    pub async fn dial(
        &self,
        transport: Transport,
        deadline: Deadline,
    ) -> Result<Connected, DialError> {
        self.dialer.dial(transport, deadline).await
    }

    /// What the gateway showed in the last dial over `transport`; `None` when it did not come to that.
    #[must_use]
    pub fn presented(&self, transport: Transport) -> Option<Presented> {
        let seen = match transport {
            Transport::Quic => &self.quic,
            Transport::WebSocket => &self.websocket,
        };
        seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What time it is at the gateway, by the `Date` of an answer (RFC 9110, 6.6.1) on the way that a
    /// WebSocket takes. Not cancel safe: dropping the future gives the question up.
    ///
    /// # Errors
    /// See [`NoDate`].
    pub async fn date(&self, deadline: Deadline) -> Result<SystemTime, NoDate> {
        let asking = async {
            let conn = self.reach(deadline).await.ok_or(NoDate::Unreachable)?;
            let name = self.dialer.name.clone();
            let tls = self.timeless.connect(name, conn).await;
            let mut tls = tls.map_err(|_| NoDate::Unreachable)?;
            let host = self.dialer.host_header();
            let request = format!("HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let sent = tls.write_all(request.as_bytes()).await;
            sent.map_err(|_| NoDate::Unreachable)?;
            let mut head = Vec::new();
            while head.len() < MAX_HEAD {
                match tls.read_buf(&mut head).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) if head.windows(4).any(|end| end == b"\r\n\r\n") => break,
                    Ok(_) => {}
                }
            }
            date_of(&head).ok_or(NoDate::Unsaid)
        };
        deadline.bound(asking).await.unwrap_or(Err(NoDate::Unreachable))
    }

    /// A connection to the gateway's TCP port, through the proxy if there is one.
    async fn reach(&self, deadline: Deadline) -> Option<Conn> {
        let Dialer { net, config, way, .. } = &self.dialer;
        if let Some(way) = way {
            let gateway = authority(&config.host, config.port);
            let connecting = proxy::connect(&**net, way, &gateway, deadline);
            return connecting.await.ok().map(|(conn, _)| conn);
        }
        let addresses = net.resolve(&config.host, config.port).await.ok()?;
        for addr in addresses {
            if let Ok(conn) = net.connect(addr, Role::Tunnel).await {
                return Some(conn);
            }
        }
        None
    }
}

/// The `Date` of an answer's head.
fn date_of(head: &[u8]) -> Option<SystemTime> {
    let head = std::str::from_utf8(head).ok()?;
    let fields = head.lines().skip(1).take_while(|line| !line.is_empty());
    let mut dates = fields.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim())
    });
    httpdate::parse_http_date(dates.next()?).ok()
}

impl Connected {
    /// The version of TLS, as people write it.
    #[must_use]
    pub fn tls(&self) -> Option<&'static str> {
        match &self.pipe {
            // RFC 9001, 4.2.
            Pipe::Quic(_) => Some("TLS 1.3"),
            Pipe::WebSocket(pipe) => pipe.socket.get_ref().tls(),
        }
    }

    /// What is known of the path by now; `None` on a WebSocket, whose TCP hides it.
    #[must_use]
    pub fn path(&self) -> Option<PathSize> {
        let Pipe::Quic(pipe) = &self.pipe else { return None };
        let stats = pipe.conn.stats();
        Some(PathSize { mtu: stats.path.current_mtu, rtt: pipe.conn.rtt() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_found_and_nothing_else_is_taken_for_one() {
        let of = |head: &str| date_of(head.as_bytes());
        let expected = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let date = "HTTP/1.1 404 Not Found\r\nA: b\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
        assert_eq!(of(date), Some(expected));
        for other in [
            "",
            "HTTP/1.1 404 Not Found\r\n\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            "HTTP/1.1 404 Not Found\r\nDate: yesterday\r\n\r\n",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
