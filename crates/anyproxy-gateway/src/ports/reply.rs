//! What is asked for a port, and what is answered.

use std::{io, net::SocketAddr};

use anyproxy_transport::net::{MORE_FILES, is_out_of_files};
use anyproxy_wire::{
    codes::ForwardCode,
    message::{ForwardReply, ForwardRequest},
};

/// An IP address and port; names are not looked up for listening, but for `localhost`.
pub fn listen_address(listen: &str) -> Option<SocketAddr> {
    match listen.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => listen.parse().ok(),
    }
}

/// The answer to `request`.
pub(super) fn reply(
    request: &ForwardRequest,
    code: ForwardCode,
    bound: Option<SocketAddr>,
    detail: String,
) -> ForwardReply {
    ForwardReply { id: request.id, code, bound, detail }
}

/// Why the system did not give the port, with what to do where that is known.
pub(super) fn unbound(addr: SocketAddr, error: &io::Error) -> String {
    let fix = match is_out_of_files(error) {
        true => format!("; where the gateway runs, {MORE_FILES}"),
        false => String::new(),
    };
    format!("cannot listen on {addr}: {error}{fix}")
}
