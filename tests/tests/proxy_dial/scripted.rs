//! An HTTP proxy that does what a test tells it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyproxy_tests::{lab::Certificates, user::base64};
use anyproxy_transport::net::{Conn, Net, Role};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::sleep,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What the proxy does with the next connection.
#[derive(Clone)]
pub(crate) enum Script {
    /// Connects, if the login is right; cuts what rested for so long in both directions.
    Pass { login: Option<(&'static str, &'static str)>, idle: Duration },
    /// Says this and closes.
    Say(&'static str),
    /// Takes the request and says nothing.
    Hang,
    /// Sends a head without an end.
    Flood,
    /// Closes instead of answering.
    Close,
    /// Connects, and ends TLS itself.
    Inspect(Arc<Inspector>),
    /// Is behind TLS itself.
    BehindTls(TlsAcceptor),
}

impl Script {
    /// Lets everybody through.
    pub(crate) fn pass() -> Self {
        Self::Pass { login: None, idle: Duration::from_secs(60) }
    }
}

/// Both sides of a proxy that looks into TLS.
pub(crate) struct Inspector {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) connector: TlsConnector,
}

impl Inspector {
    pub(crate) fn new(own: &Certificates, gateway: &Certificates) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(gateway.ca.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { acceptor: acceptor(own), connector: TlsConnector::from(Arc::new(config)) }
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(crate) fn acceptor(own: &Certificates) -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(own.chain.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// The proxy.
#[derive(Clone)]
pub(crate) struct Scripted {
    net: Arc<dyn Net>,
    script: Arc<Mutex<Script>>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Listens until the runtime ends.
    pub(crate) fn start(net: Arc<dyn Net>, addr: SocketAddr, script: Script) -> Self {
        let listener = net.listen(addr).unwrap();
        let proxy = Self { net, script: Arc::new(Mutex::new(script)), heads: Arc::default() };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((conn, _)) = listener.accept(Role::Proxied).await {
                let proxy = serving.clone();
                tokio::spawn(async move { proxy.serve(conn).await });
            }
        });
        proxy
    }

    /// What it does from now on.
    pub(crate) fn now(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }

    /// The requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    async fn serve(&self, mut conn: Conn) -> Option<()> {
        let script = self.script.lock().unwrap().clone();
        match script {
            Script::BehindTls(acceptor) => {
                let mut tls = acceptor.accept(conn).await.ok()?;
                let head = self.head(&mut tls).await?;
                self.pass(tls, &head, Duration::from_secs(60)).await
            }
            Script::Pass { login, idle } => {
                let head = self.head(&mut conn).await?;
                let right = login.is_none_or(|(user, password)| {
                    let pair = base64(format!("{user}:{password}").as_bytes());
                    head.contains(&format!("\r\nProxy-Authorization: Basic {pair}\r\n"))
                });
                if right {
                    return self.pass(conn, &head, idle).await;
                }
                let no = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                          Proxy-Authenticate: Basic realm=\"corp\"\r\n\r\n";
                conn.write_all(no.as_bytes()).await.ok()
            }
            Script::Say(text) => {
                self.head(&mut conn).await?;
                conn.write_all(text.as_bytes()).await.ok()?;
                conn.shutdown().await.ok()
            }
            Script::Hang => {
                self.head(&mut conn).await?;
                std::future::pending().await
            }
            Script::Flood => {
                self.head(&mut conn).await?;
                conn.write_all(b"HTTP/1.1 200 OK\r\n").await.ok()?;
                while conn.write_all(b"X-Endless: yes\r\n").await.is_ok() {}
                None
            }
            Script::Close => {
                self.head(&mut conn).await?;
                conn.shutdown().await.ok()
            }
            Script::Inspect(inspector) => {
                let head = self.head(&mut conn).await?;
                let far = self.reach(&head).await?;
                conn.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
                let near = inspector.acceptor.accept(conn).await.ok()?;
                let name = ServerName::try_from("gateway.test").unwrap();
                let far = inspector.connector.connect(name, far).await.ok()?;
                relay(near, far, Duration::from_secs(60)).await
            }
        }
    }

    /// Reads a request's head and no more.
    async fn head<S: AsyncRead + Unpin>(&self, conn: &mut S) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(conn.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        self.heads.lock().unwrap().push(head.clone());
        Some(head)
    }

    async fn reach(&self, head: &str) -> Option<Conn> {
        let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
        let (host, port) = target.rsplit_once(':')?;
        let found = self.net.resolve(host, port.parse().ok()?).await.ok()?;
        self.net.connect(*found.first()?, Role::Proxied).await.ok()
    }

    async fn pass<S>(&self, mut near: S, head: &str, idle: Duration) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let far = self.reach(head).await?;
        let established = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 corp\r\n\r\n";
        near.write_all(established).await.ok()?;
        near.flush().await.ok()?;
        relay(near, far, idle).await
    }
}

/// Copies until an end closes, or until either direction rested for `idle`.
pub(crate) async fn relay<A, B>(near: A, far: B, idle: Duration) -> Option<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::select! {
        () = copy(near_read, far_write, idle) => {}
        () = copy(far_read, near_write, idle) => {}
    }
    None
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, idle: Duration) {
    let mut buf = [0; 4096];
    loop {
        let count = tokio::select! {
            read = from.read(&mut buf) => read.unwrap_or(0),
            () = sleep(idle) => 0,
        };
        if count == 0 || to.write_all(&buf[..count]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}
