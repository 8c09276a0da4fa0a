//! Dialling the WebSocket through an HTTP proxy.

use anyproxy_runtime::Deadline;

use super::{Connected, DialError, Dialer};
use crate::{
    error::TunnelError,
    proxy::{self, Way, authority},
    tls::Trust,
};

/// What a person may think of when a certificate is not accepted behind a proxy.
const INSPECTED: &str = "; if the proxy inspects TLS, it shows a certificate of its own: name its \
                         CA with `extra_ca` (docs/firewalls.md says what it can see then)";

impl Dialer {
    /// The gateway's name goes to the proxy as it is and is not looked up here. Not cancel safe:
    /// dropping the future gives the attempt up.
    pub(super) async fn dial_through(
        &self,
        way: &Way,
        deadline: Deadline,
    ) -> Result<Connected, DialError> {
        let proxy = || way.proxy.to_string();
        let gateway = authority(&self.config.host, self.config.port);
        let connecting = proxy::connect(&*self.net, way, &gateway, deadline);
        let (conn, addr) = match connecting.await {
            Ok(connected) => connected,
            Err(source) => {
                return Err(DialError::Proxy { gateway, proxy: proxy(), source });
            }
        };
        let upgraded = deadline.bound(self.upgrade(conn, addr)).await;
        let pipe = upgraded.unwrap_or_else(|_| {
            Err(TunnelError::Transport("the gateway did not answer in time".into()))
        });
        let pipe = pipe.map_err(|source| {
            let hint = self.hint_behind_proxy(&source);
            DialError::Through { gateway, proxy: proxy(), source, hint }
        })?;
        Ok(Connected { pipe })
    }

    fn hint_behind_proxy(&self, error: &TunnelError) -> &'static str {
        let hint = self.certificate_hint(error);
        let issuer = matches!(error, TunnelError::Transport(text)
            if text.contains("UnknownIssuer") || text.contains("BadSignature"));
        match &self.config.trust {
            Trust::Pin(_) if issuer => {
                "; the CA that the pin names did not sign it: if the proxy inspects TLS, no pin can \
                 hold, and `ca` with `extra_ca` takes its place (docs/firewalls.md)"
            }
            Trust::System | Trust::SystemAnd(_) | Trust::Ca(_) | Trust::Pin(_) if issuer => {
                INSPECTED
            }
            Trust::System | Trust::SystemAnd(_) | Trust::Ca(_) | Trust::Pin(_) => hint,
        }
    }
}
