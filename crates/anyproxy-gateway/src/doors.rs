//! Where users come in: all listeners of the ingresses, bound together and served together.

use std::{net::SocketAddr, sync::Arc};

use anyproxy_runtime::Scope;
use anyproxy_transport::{
    ProxyTls,
    net::{Listener, Net},
};

use crate::{
    config::GatewayConfig,
    gateway::{Addresses, StartError},
    ingress::{Acceptor, Authenticate, Ingress, Route},
};

/// Bound listeners that nobody is accepted at yet.
pub(crate) struct Doors {
    http: Vec<Listener>,
    https: Vec<Listener>,
    tls: Option<ProxyTls>,
    socks5: Vec<Listener>,
    mixed: Vec<Listener>,
}

impl Doors {
    /// Binds all that `config` names, or nothing.
    pub(crate) fn bind(net: &dyn Net, config: &GatewayConfig) -> Result<Self, StartError> {
        let https = config.https.as_ref();
        Ok(Self {
            http: bind(net, "HTTP", &config.http)?,
            https: bind(net, "HTTPS", https.map_or(&[], |https| &https.addrs))?,
            tls: https.map(|https| ProxyTls::new(&https.identity)).transpose()?,
            socks5: bind(net, "SOCKS5", &config.socks5)?,
            mixed: bind(net, "mixed", &config.mixed)?,
        })
    }

    /// Where they are, with the ports that the system chose.
    pub(crate) fn addresses(&self, tunnels: SocketAddr) -> Addresses {
        Addresses {
            tunnels,
            http: local(&self.http),
            https: local(&self.https),
            socks5: local(&self.socks5),
            mixed: local(&self.mixed),
        }
    }

    /// What users of the HTTP proxy behind TLS are shown.
    pub(crate) fn tls(&self) -> Option<ProxyTls> {
        self.tls.clone()
    }

    /// Serves users at all of them: accept loops in `accepting`, connections in `users`, as many as
    /// `acceptor` lets in over all ingresses.
    pub(crate) fn open<R: Route, A: Authenticate>(
        self,
        ingress: &Arc<Ingress<R, A>>,
        users: &Scope,
        accepting: &Scope,
        acceptor: &Acceptor,
    ) {
        let accept = |name| acceptor.named(name);
        for listener in self.http {
            let serving = Arc::clone(ingress).serve_http(listener, users.clone(), accept("http"));
            accepting.spawn("http", serving);
        }
        for (listener, tls) in self.https.into_iter().zip(std::iter::repeat(self.tls)) {
            let Some(tls) = tls else { continue };
            let ingress = Arc::clone(ingress);
            let serving = ingress.serve_https(listener, tls, users.clone(), accept("https"));
            accepting.spawn("https", serving);
        }
        for listener in self.socks5 {
            let ingress = Arc::clone(ingress);
            let serving = ingress.serve_socks5(listener, users.clone(), accept("socks5"));
            accepting.spawn("socks5", serving);
        }
        for listener in self.mixed {
            let serving = Arc::clone(ingress).serve_mixed(listener, users.clone(), accept("mixed"));
            accepting.spawn("mixed", serving);
        }
    }
}

fn bind(
    net: &dyn Net,
    ingress: &'static str,
    addrs: &[SocketAddr],
) -> Result<Vec<Listener>, StartError> {
    let listen = |addr: &SocketAddr| {
        net.listen(*addr).map_err(|source| StartError::Ingress { ingress, addr: *addr, source })
    };
    addrs.iter().map(listen).collect()
}

fn local(listeners: &[Listener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}
