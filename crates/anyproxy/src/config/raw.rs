//! What a configuration file may hold, as text with its place in the file.
//!
//! Nothing is interpreted here: every value keeps its span, so that whoever interprets it can point at it.
//! The [settings](crate::settings) are made from these once, and nothing else reads them. None of
//! these types has `Debug`, since a secret may have been written where it does not belong.

mod limits;

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

pub use limits::{RawClientLimits, RawGatewayLimits};

/// A text and its place.
pub type Text = Spanned<String>;

/// The file of `anyproxy gateway`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawGateway {
    /// Where clients connect.
    pub listen: Option<Text>,
    /// Where clients reach it.
    pub advertise: Option<Text>,
    /// `quic`, `ws` or `both`.
    pub transport: Option<Text>,
    /// `bbr` or `cubic`.
    pub congestion: Option<Text>,
    /// The certificate chain, PEM.
    pub certificate: Option<Text>,
    /// Its private key, PEM.
    pub key: Option<Text>,
    /// The path of the WebSocket.
    pub ws_path: Option<Text>,
    /// Whether the WebSocket accepts TLS 1.2 too.
    pub tls12: Option<Spanned<bool>>,
    /// A Unix socket for the WebSocket without TLS.
    pub ws_socket: Option<Text>,
    /// Reverse proxies that may tell where clients come from.
    pub trusted_proxies: Option<Spanned<Vec<String>>>,
    /// How they tell.
    pub trusted_header: Option<Text>,
    /// The HTTP proxy.
    pub http: Option<Spanned<OneOrMany>>,
    /// The SOCKS5 proxy.
    pub socks5: Option<Spanned<OneOrMany>>,
    /// The HTTP proxy behind TLS.
    pub https: Option<Spanned<OneOrMany>>,
    /// The certificate chain that its users see, PEM.
    pub https_certificate: Option<Text>,
    /// The private key of that certificate, PEM.
    pub https_key: Option<Text>,
    /// HTTP and SOCKS5 on one port.
    pub mixed: Option<Spanned<OneOrMany>>,
    /// The directory of the store.
    pub data_dir: Option<Text>,
    /// How long live connections may go on at shutdown.
    pub drain: Option<Text>,
    /// How long setting a connection up may take.
    pub proxy_timeout: Option<Text>,
    /// How much a session may buffer for stalled readers.
    pub stall_budget: Option<Text>,
    /// Live connections in one session.
    pub max_streams: Option<Spanned<i64>>,
    /// Where metrics and health are served.
    pub admin: Option<Text>,
    /// The Unix socket of `anyproxy status`.
    pub status_socket: Option<Text>,
    /// Bounds.
    pub limits: RawGatewayLimits,
    /// Logging.
    pub log: RawLog,
    /// Groups.
    pub group: Vec<Spanned<RawGroup>>,
}

/// A `[[group]]` of a gateway.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGroup {
    /// Its name, which is also the proxy user's.
    pub name: Text,
    /// A file with the secret of its clients.
    pub secret_file: Option<Text>,
    /// What the gateway keeps of that secret.
    pub secret_hash: Option<Text>,
    /// Certificates of the authorities that issue its clients' certificates, PEM.
    pub client_ca: Option<Text>,
    /// What those authorities have revoked, PEM.
    pub client_crl: Option<Text>,
    /// A file with the password of its proxy users.
    pub password_file: Option<Text>,
    /// A hash of that password.
    pub password_hash: Option<Text>,
    /// Gateway ports that its clients may ask for.
    #[serde(default)]
    pub forwards: Vec<Text>,
    /// Live sessions.
    pub max_sessions: Option<Spanned<i64>>,
    /// Live proxied connections.
    pub max_connections: Option<Spanned<i64>>,
    /// Live UDP flows.
    pub max_flows: Option<Spanned<i64>>,
    /// Bytes a second, each way.
    pub bandwidth: Option<Text>,
    /// Proxy users with names of their own.
    #[serde(default)]
    pub user: Vec<Spanned<RawUser>>,
}

/// A `[[group.user]]` of a gateway.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUser {
    /// The name to log in with.
    pub name: Text,
    /// A file with the user's password.
    pub password_file: Option<Text>,
    /// A hash of that password.
    pub password_hash: Option<Text>,
}

/// The file of `anyproxy client`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawClient {
    /// The gateway to dial.
    pub gateway: Option<Text>,
    /// `quic` or `ws`.
    pub transport: Option<Text>,
    /// `bbr` or `cubic`.
    pub congestion: Option<Text>,
    /// The path of the WebSocket.
    pub ws_path: Option<Text>,
    /// Whether the WebSocket may use TLS 1.2.
    pub tls12: Option<Spanned<bool>>,
    /// Certificates of the authorities to trust, PEM.
    pub ca: Option<Text>,
    /// More certificates to trust, PEM.
    pub extra_ca: Option<Text>,
    /// The HTTP proxy to dial through.
    pub proxy: Option<Text>,
    /// A file with its password.
    pub proxy_password_file: Option<Text>,
    /// `Host` of the WebSocket's request.
    pub ws_host: Option<Text>,
    /// TCP connections of one session over the WebSocket.
    pub ws_connections: Option<Spanned<i64>>,
    /// The pin of the gateway's CA.
    pub pin: Option<Text>,
    /// The name that the gateway's certificate must carry.
    pub server_name: Option<Text>,
    /// The group to join.
    pub group: Option<Text>,
    /// The stable name of this client.
    pub client_id: Option<Text>,
    /// Parallel sessions.
    pub replicas: Option<Spanned<i64>>,
    /// `secret`, `password` or `certificate`.
    pub method: Option<Text>,
    /// Only `-`: read the secret from standard input.
    pub secret: Option<Text>,
    /// A file with the group's secret.
    pub secret_file: Option<Text>,
    /// The certificate chain of this client, PEM.
    pub client_certificate: Option<Text>,
    /// Its private key, PEM.
    pub client_key: Option<Text>,
    /// How long live connections may go on at shutdown.
    pub drain: Option<Text>,
    /// How long dialling a target may take.
    pub proxy_timeout: Option<Text>,
    /// How much a session may buffer for stalled readers.
    pub stall_budget: Option<Text>,
    /// Where metrics and health are served.
    pub admin: Option<Text>,
    /// The Unix socket of `anyproxy status`.
    pub status_socket: Option<Text>,
    /// Bounds.
    pub limits: RawClientLimits,
    /// Which targets may be dialled.
    pub policy: RawPolicy,
    /// Logging.
    pub log: RawLog,
    /// Gateway ports to ask for.
    pub forward: Vec<Spanned<RawForward>>,
}

/// The `[policy]` of a client.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPolicy {
    /// Targets that may be dialled.
    pub allow: Option<Vec<Text>>,
    /// Targets that may not, whatever `allow` says.
    pub deny: Option<Vec<Text>>,
}

/// A `[[forward]]` of a client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawForward {
    /// Its name in logs.
    pub name: Text,
    /// Where the gateway listens.
    pub listen: Text,
    /// What the client dials.
    pub target: Text,
    /// `tcp` or `udp`.
    pub protocol: Option<Text>,
    /// `v1` or `v2`: how the target is told the user's address.
    pub proxy_protocol: Option<Text>,
    /// How long a connection may carry nothing.
    pub idle_timeout: Option<Text>,
    /// How long a receiver may take nothing.
    pub stall_timeout: Option<Text>,
}

/// The `[log]` of either file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    /// A level, or a filter.
    pub level: Option<Text>,
    /// `text` or `json`.
    pub format: Option<Text>,
    /// A file instead of standard error.
    pub file: Option<Text>,
    /// `hourly`, `daily` or `never`.
    pub rotation: Option<Text>,
    /// How many rotated files are kept.
    pub keep: Option<Spanned<i64>>,
}

/// A text, or a list of texts.
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By hand and not `untagged`, whose error would not say what is expected.
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

struct OneOrManyVisitor;

impl<'de> de::Visitor<'de> for OneOrManyVisitor {
    type Value = OneOrMany;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address in quotes, or a list of them")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
        Ok(OneOrMany(vec![text.to_owned()]))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut entries: A) -> Result<OneOrMany, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = entries.next_element()? {
            texts.push(text);
        }
        Ok(OneOrMany(texts))
    }
}
