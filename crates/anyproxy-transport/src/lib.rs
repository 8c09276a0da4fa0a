//! The tunnel between gateway and client, over QUIC or a WebSocket.
//!
//! ```text
//! gateway: TunnelListener ─▶ Arrival ─▶ Greeting ─▶ Challenged ─▶ Tunnel ─▶ open    ─▶ Stream
//! client:  Dialer ─────────▶ Connected ──────────── log_in ─────▶ Tunnel ─▶ accept  ─▶ Stream
//! both:    splice(Stream, TCP connection), Flow::new(Stream) for datagrams
//! ```
//!
//! The rest of the product never sees quinn or tungstenite: which transport carries a tunnel is
//! decided once, at dial or accept, and hidden in an enum. All sockets come from [`net::Net`].

mod alarm;
pub mod behind;
mod budget;
mod dial;
mod error;
mod figures;
mod flow;
mod handshake;
mod keys;
mod listen;
pub mod net;
mod proxy;
mod quic;
mod rates;
mod splice;
mod stream;
pub mod tls;
mod tunnel;
mod ws;

pub use behind::{Behind, ToldBy, Trusted};
pub use budget::{Admission, EVICT_AFTER, Eviction, StallBudget};
pub use dial::{
    Connected, DialConfig, DialConfigError, DialError, Dialer, Examiner, Gateways, NoDate,
    PathSize, Route,
};
pub use error::{ClosedBy, StreamError, TunnelError};
pub use figures::{
    ConnectionId, Entry, Histogram, HistogramFigures, Ledger, LedgerFigures, Loss, OpenCount,
    OpenOutcome, Opens, OpensFigures, Pending, SessionId, Totals,
};
pub use flow::{Flow, Sent};
pub use handshake::{
    Challenged, Enrolment, Greeting, JoinKey, Login, LoginError, Method, TunnelLimits,
};
pub use keys::{BadSeed, ClientKey, check_signature};
pub use listen::{Arrival, ListenConfig, ListenError, Offer, TunnelListener};
pub use proxy::{HttpProxy, ProxyError, ProxyLogin, ProxyScheme};
pub use quic::Congestion;
pub use splice::{Near, NearSide, Spliced, SplicedEnd, splice};
pub use stream::{Guard, Meters, Stream};
pub use tls::{
    Alpn, ClientCa, ClientCaError, ClientCertificates, Identity, IdentityError, NotAccepted,
    OfferedCertificate, OldestTls, OwnCertificate, Pin, PinError, Presented, ProxyTls, Trust,
    TrustError,
};
pub use tunnel::{
    Incoming, OpenError, Opening, STREAM_WINDOW, Side, Stats, StreamIds, Transport, Tunnel,
};
