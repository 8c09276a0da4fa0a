//! Something before the gateway that ends TLS, as a reverse proxy does.

use std::{net::SocketAddr, sync::Arc};

use anyproxy_tests::lab::{Certificates, Site};
use anyproxy_transport::net::Role;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn chain(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

fn key(pem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn roots(pem: &str) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    chain(pem).into_iter().for_each(|one| roots.add(one).unwrap());
    Arc::new(roots)
}

/// Ends the TLS of clients, with a certificate that they accept, and speaks TLS to the gateway. It shows the
/// gateway a certificate of its own if it has one.
pub(crate) fn start(
    site: &Site,
    certificates: &Certificates,
    gateway: SocketAddr,
    (client_ca, own): (&str, Option<(String, String)>),
) -> SocketAddr {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(client_ca), Arc::clone(&provider));
    let verifier = verifier.allow_unauthenticated().build().unwrap();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(&certificates.chain), key(&certificates.key))
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots(&certificates.ca));
    let client = match own {
        Some((pem, secret)) => client.with_client_auth_cert(chain(&pem), key(&secret)).unwrap(),
        None => client.with_no_client_auth(),
    };
    let (acceptor, connector) =
        (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
    let net = site.target.clone();
    let listener = net.listen(SocketAddr::new(site.target_ip, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((conn, _)) = listener.accept(Role::Proxied).await {
            let (net, acceptor, connector) = (net.clone(), acceptor.clone(), connector.clone());
            tokio::spawn(async move {
                let mut near = acceptor.accept(conn).await?;
                let far = net.connect(gateway, Role::Proxied).await?;
                let name = ServerName::try_from("gateway.test").unwrap();
                let mut far = connector.connect(name, far).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    addr
}
