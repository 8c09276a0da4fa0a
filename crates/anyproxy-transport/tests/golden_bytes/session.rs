//! A real gateway's door with a raw client at it.

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{
    Greeting, Identity, ListenConfig, Offer, OldestTls, Side, StallBudget, StreamIds, Transport,
    Tunnel, TunnelLimits, TunnelListener, net::System,
};
use anyproxy_wire::{
    frame::{self, Frame},
    handshake::{self, ProofCheck, Secret, Transcript, Verifier},
    message::{Hello, Welcome},
};
use bytes::BytesMut;

use super::{
    frames::stage,
    peer::{Peer, QuicPeer, WsPeer},
};

/// Enough for what the tests stall, and so little that no window of 200,000 bytes or more grows.
pub(crate) const GOLDEN_BUDGET: u64 = 799_999;

pub(crate) struct Session {
    pub(crate) tunnel: Tunnel,
    pub(crate) peer: Peer,
    pub(crate) hello: Hello,
    /// The handshake as the client sent and received it.
    pub(crate) challenge: Vec<u8>,
    pub(crate) auth: Vec<u8>,
    pub(crate) welcome: Vec<u8>,
    pub(crate) nonce: [u8; 32],
    pub(crate) proof: [u8; 32],
    pub(crate) transcript: Transcript,
    _listener: TunnelListener,
}

/// Brings a client that says `hello` to the gateway's door.
pub(crate) async fn greet(carrier: Transport, hello: &[u8]) -> (Greeting, Peer, TunnelListener) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let identity =
        Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    let offer = match carrier {
        Transport::Quic => Offer::Quic,
        Transport::WebSocket => Offer::WebSocket,
    };
    let config = ListenConfig {
        addr: ([127, 0, 0, 1], 0).into(),
        offer,
        identity,
        path: "/anyproxy".into(),
        oldest_tls: OldestTls::Tls13,
        dead_after: Duration::from_secs(30),
        behind: anyproxy_transport::Behind::default(),
        congestion: anyproxy_transport::Congestion::default(),
    };
    let listener = TunnelListener::bind(&System::default(), &config).unwrap();
    let (port, root) = (listener.local_addr().port(), certificate.der().clone());
    let client = async {
        let mut peer = match carrier {
            Transport::Quic => Peer::Quic(QuicPeer::connect(port, root).await),
            Transport::WebSocket => Peer::WebSocket(Box::new(WsPeer::connect(port, root).await)),
        };
        peer.send(hello).await;
        peer
    };
    let gateway = async {
        let arrival = listener.accept().await;
        arrival.greet(Deadline::never()).await.unwrap()
    };
    let (greeting, peer) = tokio::join!(gateway, client);
    (greeting, peer, listener)
}

impl Session {
    /// Shakes hands; the gateway fills in the proof of `welcome`.
    pub(crate) async fn start(carrier: Transport, welcome: Welcome, budget: u64) -> Self {
        let secret = Secret::new(crate::row("## 13. Golden bytes", "shared secret"));
        let verifier = Verifier::from_secret(&secret);
        let hello = crate::bytes("Hello");
        let (greeting, mut peer, listener) = greet(carrier, &hello).await;
        let said = greeting.hello().clone();
        let client = async {
            let challenge = peer.next().await;
            let transcript = Transcript::new(&hello, &challenge, peer.exporter().as_ref());
            let proof = handshake::client_proof(&secret, &transcript);
            let auth = [&[3, 0x22, 1, 0x20], &proof[..]].concat();
            peer.send(&auth).await;
            (challenge, auth, proof, transcript)
        };
        let (challenged, (challenge, auth, proof, transcript)) =
            tokio::join!(greeting.challenge(&[handshake::METHOD_SECRET]), client);
        let challenged = challenged.unwrap();
        let check = handshake::check_client_proof(
            &verifier,
            challenged.transcript(),
            challenged.auth().proof.expose(),
        );
        assert_eq!(check, ProofCheck::Right);
        let proof_back = handshake::gateway_proof(&verifier, challenged.transcript());
        let welcome = Welcome { proof: Some(proof_back), ..welcome };
        let limits = TunnelLimits {
            max_streams: 4096,
            budget: StallBudget::new(budget),
            ids: Arc::clone(&StreamIds::new(Side::Gateway)),
        };
        let scope = Scope::root("golden");
        let (tunnel, welcome) =
            tokio::join!(challenged.welcome(welcome, limits, &scope), peer.next());
        let mut decoding = BytesMut::from(&challenge[..]);
        let stage = stage(&crate::value("Challenge"));
        let Ok(Some(Frame::Challenge(parsed))) = frame::decode(&mut decoding, stage) else {
            panic!("no Challenge")
        };
        Self {
            tunnel: tunnel.unwrap(),
            peer,
            hello: said,
            challenge,
            auth,
            welcome,
            nonce: parsed.nonce,
            proof,
            transcript,
            _listener: listener,
        }
    }
}
