//! quinn's settings, and why each differs from its default.

use std::{sync::Arc, time::Duration};

use quinn::{
    ClientConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt,
    crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig},
};

use super::{EndpointKeys, congestion::Congestion, room, window::Windows};
use crate::tunnel::STREAM_WINDOW;

/// What a stranger may make the gateway hold before it has authenticated; see
/// `docs/protocol.md`, 4. It widens after Welcome.
const STRANGER_WINDOW: u32 = 32 * 1024;

/// Handshakes that may wait for the gateway to look at them.
const MAX_INCOMING: usize = 1024;

/// Bytes that one waiting handshake, and all of them, may buffer.
const INCOMING_BUFFER: u64 = 16 * 1024;
const INCOMING_BUFFER_TOTAL: u64 = 4 * 1024 * 1024;

/// Datagrams received but not yet taken, in bytes. It cannot widen after the handshake, so it is
/// small enough for strangers and large enough for bursts.
const DATAGRAM_BUFFER: usize = 256 * 1024;

/// Datagrams handed to quinn but not yet sent, in bytes: a few packets, so that flows take turns in our
/// own queue.
pub(super) const DATAGRAM_SEND_BUFFER: usize = 32 * 1024;

/// Sent bytes that wait for an acknowledgement, over all streams of a tunnel. quinn's default
/// (10 MB) would be under one stream's largest window.
const SEND_WINDOW: u64 = 16 * 1024 * 1024;

/// Packets that may overtake one before it counts as lost. Three (RFC 9002, 6.1.1) takes a path that reorders, as
/// radio links and links over several lines do, for one that loses; what is sent again then is sent for nothing. Time
/// decides instead, an eighth of a round trip after the packet should have been heard of, and this bounds what a
/// fast path has to wait for.
const OVERTAKEN: u32 = 64;

/// What the peer may do; it differs between the ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limits {
    /// At the gateway: the peer is a stranger until Welcome.
    Stranger,
    /// At the client: the gateway was verified by its certificate. How many streams it may open grows ([`room`]).
    Gateway,
}

fn transport(limits: Limits, dead_after: Duration, congestion: Congestion) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    // Our own Ping keeps the tunnel alive, so that it also proves the peer's program alive.
    let idle =
        IdleTimeout::try_from(dead_after).unwrap_or_else(|_| VarInt::from_u32(30_000).into());
    config
        .max_idle_timeout(Some(idle))
        .congestion_controller_factory(Arc::new(Windows(congestion)))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u64(STREAM_WINDOW).unwrap_or(VarInt::MAX))
        .send_window(SEND_WINDOW)
        .packet_threshold(OVERTAKEN)
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER);
    match limits {
        Limits::Stranger => config
            .receive_window(VarInt::from_u32(STRANGER_WINDOW))
            .max_concurrent_bidi_streams(VarInt::from_u32(1)),
        Limits::Gateway => config
            .receive_window(VarInt::MAX)
            .max_concurrent_bidi_streams(VarInt::from_u32(room::FIRST)),
    };
    Arc::new(config)
}

/// A gateway's settings.
pub(crate) fn server_config(
    tls: Arc<rustls::ServerConfig>,
    keys: &EndpointKeys,
    dead_after: Duration,
    congestion: Congestion,
) -> Result<ServerConfig, NoInitialCipherSuite> {
    let crypto = Arc::new(QuicServerConfig::try_from(tls)?);
    let mut config = ServerConfig::new(crypto, keys.token());
    config
        .transport_config(transport(Limits::Stranger, dead_after, congestion))
        // A client whose address changes keeps its connections (RFC 9000, 9).
        .migration(true)
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    Ok(config)
}

/// A client's settings.
pub(crate) fn client_config(
    tls: Arc<rustls::ClientConfig>,
    limits: Limits,
    dead_after: Duration,
    congestion: Congestion,
) -> Result<ClientConfig, NoInitialCipherSuite> {
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(limits, dead_after, congestion));
    Ok(config)
}

/// Settings of a client's UDP socket.
pub(crate) fn endpoint_config() -> EndpointConfig {
    EndpointConfig::default()
}
