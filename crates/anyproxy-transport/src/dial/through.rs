//! Dialling the WebSocket through an HTTP proxy.

use std::borrow::Cow;

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

const PINNED: &str = "; if the proxy inspects TLS, no pin can hold: `ca` with `extra_ca` takes its \
                      place (docs/firewalls.md says what it can see then)";

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

    fn hint_behind_proxy(&self, error: &TunnelError) -> Cow<'static, str> {
        let TunnelError::Transport(text) = error else { return Cow::Borrowed("") };
        let stranger = ["UnknownIssuer", "BadSignature", "not the pinned one"];
        if !stranger.iter().any(|words| text.contains(words)) {
            return self.certificate_hint(error);
        }
        Cow::Borrowed(match &self.config.trust {
            Trust::Pin(_) => PINNED,
            Trust::System | Trust::SystemAnd(_) | Trust::Ca(_) => INSPECTED,
        })
    }
}
