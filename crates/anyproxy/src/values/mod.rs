//! Types and readers of single values, shared by flags, environment and files.
//!
//! Each reader takes the text that a person wrote and returns a runtime type or a
//! [`Problem`](crate::config::Problem) that says what is expected, with an example.

mod address;
mod admin;
mod bound;
mod choices;
mod forward;
mod names;
mod port_rule;
mod proxy;
mod units;

pub use address::{HostPort, Listeners, advertised, gateway, listen, server_name};
pub use admin::{AdminAddress, StatusSocket};
pub use bound::{Bound, MOST_COUNTED, PortRules, bandwidth_bound, count_bound};
pub use choices::{
    ClientTransport, CongestionControl, ForwardProtocol, GatewayTransport, LogFormat, LogRotation,
    Method, ProxyProtocol, TrustedHeader, choice,
};
pub use forward::{ForwardFlag, ListenPorts, PortMap, TargetPorts};
pub use names::{client_id, forward_name, group_name, host_header, user_name, ws_path};
pub use port_rule::ForwardRule;
pub use proxy::{ProxyTls, ProxyUrl, is_exempt};
pub use units::{bandwidth, duration, size};
