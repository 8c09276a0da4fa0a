//! Where a process tells about itself.

use std::{net::SocketAddr, path::Path};

use super::{Warning, input::Input};
use crate::{
    config::{ConfigError, raw::Text},
    values::{AdminAddress, StatusSocket},
};

/// Where a process tells about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdminSettings {
    /// Metrics and health over TCP.
    pub addr: Option<SocketAddr>,
    /// The status.
    pub socket: StatusSocket,
}

impl AdminSettings {
    /// From flags, else from the file.
    pub(super) fn build(
        input: &mut Input<'_>,
        (admin, socket): (Option<AdminAddress>, Option<&Path>),
        (raw_admin, raw_socket): (Option<&Text>, Option<&Text>),
    ) -> Result<Self, ConfigError> {
        let addr = input.pick(admin, raw_admin, str::parse)?.and_then(|admin| admin.0);
        if let Some(addr) = addr.filter(|addr| !addr.ip().is_loopback()) {
            input.warnings.push(Warning::OpenAdmin { addr });
        }
        let off = raw_socket.is_some_and(|text| text.get_ref() == "off");
        let socket = match (socket, off) {
            (None, true) => StatusSocket::Off,
            (flag, _) => input
                .pick_path(flag.map(|path| ("--status-socket", path)), raw_socket)
                .map_or(StatusSocket::Usual, |given| StatusSocket::of(&given.value)),
        };
        Ok(Self { addr, socket })
    }
}
