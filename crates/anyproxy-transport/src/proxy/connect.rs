//! Asking a proxy for the way to the gateway.

use std::net::SocketAddr;

use anyproxy_runtime::Deadline;
use anyproxy_wire::connect_reply::{BadReply, MAX_HEAD, Reply};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::{HttpProxy, ProxyError, ProxyLogin, ProxyScheme, error::LoggedIn};
use crate::{
    net::{Conn, Net, Role},
    tls::{OldestTls, TrustError},
};

/// Bytes read at once. The gateway's side speaks second in TLS, so nothing follows a 2xx by itself.
const READ: usize = 1024;

/// A proxy, and how to shake hands with it if it is behind TLS.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) proxy: HttpProxy,
    tls: Option<TlsConnector>,
}

impl Way {
    /// # Errors
    /// When the proxy's trust settings are unusable.
    pub(crate) fn new(proxy: HttpProxy) -> Result<Self, TrustError> {
        let tls = match &proxy.scheme {
            ProxyScheme::Http => None,
            ProxyScheme::Https(trust) => Some(trust.websocket(OldestTls::Tls12)?.into()),
        };
        Ok(Self { proxy, tls })
    }
}

/// Connects to the proxy and has it connect to `target` (`host:port`). Also gives the proxy's
/// address. Bounded by `deadline`. Not cancel safe: dropping the future gives the attempt up.
pub(crate) async fn connect(
    net: &dyn Net,
    way: &Way,
    target: &str,
    deadline: Deadline,
) -> Result<(Conn, SocketAddr), ProxyError> {
    let (conn, addr) = reach(net, &way.proxy, deadline).await?;
    let asking = async {
        let conn = secured(conn, way).await?;
        ask(conn, way.proxy.login.as_ref(), target).await
    };
    let conn = deadline.bound(asking).await.unwrap_or(Err(ProxyError::TimedOut))?;
    Ok((conn, addr))
}

/// Connects to the first of the proxy's addresses that answers.
async fn reach(
    net: &dyn Net,
    proxy: &HttpProxy,
    deadline: Deadline,
) -> Result<(Conn, SocketAddr), ProxyError> {
    let resolving = deadline.bound(net.resolve(&proxy.host, proxy.port)).await;
    let addresses = resolving.map_err(|_| ProxyError::TimedOut)?.map_err(ProxyError::Resolve)?;
    let mut last = ProxyError::Resolve(std::io::ErrorKind::NotFound.into());
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    for addr in addresses {
        // A silent address must leave time for the next, and all of them for the answer.
        let share = deadline.remaining().checked_div(left.saturating_add(1));
        let share = deadline.within(share.unwrap_or_default());
        left = left.saturating_sub(1).max(1);
        match share.bound(net.connect(addr, Role::Tunnel)).await {
            Ok(Ok(conn)) => return Ok((conn, addr)),
            Ok(Err(error)) => last = ProxyError::Connect(error),
            Err(_) => last = ProxyError::TimedOut,
        }
    }
    Err(last)
}

async fn secured(conn: Conn, way: &Way) -> Result<Conn, ProxyError> {
    let Some(tls) = &way.tls else { return Ok(conn) };
    let name = ServerName::try_from(way.proxy.host.clone())
        .map_err(|error| ProxyError::Tls(error.to_string()))?;
    let tls = tls.connect(name, conn).await.map_err(|error| ProxyError::Tls(error.to_string()))?;
    Ok(Conn::Proxy(Box::new(tls)))
}

async fn ask(mut conn: Conn, login: Option<&ProxyLogin>, target: &str) -> Result<Conn, ProxyError> {
    let request = request(login, target);
    conn.write_all(request.as_bytes()).await.map_err(ProxyError::Broken)?;
    conn.flush().await.map_err(ProxyError::Broken)?;
    let mut head = BytesMut::new();
    loop {
        if let Some((reply, length)) = Reply::parse(&head)? {
            let rest = head.split_off(length);
            head = rest;
            if reply.is_informational() {
                continue;
            }
            if !reply.is_success() {
                let logged_in = if login.is_some() { LoggedIn::Yes } else { LoggedIn::No };
                return Err(ProxyError::of(&reply, logged_in));
            }
            // Nobody spoke to the gateway yet, so nothing of it can be there.
            return if head.is_empty() { Ok(conn) } else { Err(BadReply::NotHttp.into()) };
        }
        if head.len() >= MAX_HEAD {
            return Err(BadReply::TooLarge.into());
        }
        let mut some = [0; READ];
        let count = conn.read(&mut some).await.map_err(ProxyError::Broken)?;
        if count == 0 {
            return Err(ProxyError::Closed);
        }
        head.extend_from_slice(some.get(..count).unwrap_or_default());
    }
}

/// `Host` is the target (RFC 9112, 3.2.3). The password is wiped from memory afterwards.
fn request(login: Option<&ProxyLogin>, target: &str) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    text.push_str("CONNECT ");
    text.push_str(target);
    text.push_str(" HTTP/1.1\r\nHost: ");
    text.push_str(target);
    text.push_str("\r\n");
    if let Some(login) = login {
        let pair = Zeroizing::new([login.user.as_bytes(), b":", login.password.expose()].concat());
        let pair = Zeroizing::new(STANDARD.encode(&*pair));
        text.push_str("Proxy-Authorization: Basic ");
        text.push_str(&pair);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text
}

#[cfg(test)]
mod tests {
    use anyproxy_wire::handshake::Secret;

    use super::*;

    #[test]
    fn what_a_proxy_is_asked() {
        let plain = request(None, "gw.test:443");
        assert_eq!(*plain, "CONNECT gw.test:443 HTTP/1.1\r\nHost: gw.test:443\r\n\r\n");
        // RFC 7617, section 2.
        let login = ProxyLogin { user: "Aladdin".into(), password: Secret::new("open sesame") };
        let request = request(Some(&login), "gw.test:443");
        let line = "\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
        assert!(request.ends_with(line), "{}", *request);
    }

    #[test]
    fn nothing_shows_the_password() {
        let login = ProxyLogin { user: "me".into(), password: Secret::new("open sesame") };
        let (host, scheme) = ("proxy.test".to_owned(), ProxyScheme::Http);
        let proxy = HttpProxy { host, port: 3128, scheme, login: Some(login) };
        assert!(!format!("{proxy:?} {proxy}").contains("sesame"));
        assert_eq!(proxy.to_string(), "http://proxy.test:3128");
    }
}
