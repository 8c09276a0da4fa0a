//! Where a process tells about itself.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::config::Problem;

/// Where metrics and health are served; `None`: nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminAddress(pub Option<SocketAddr>);

impl FromStr for AdminAddress {
    type Err = Problem;

    /// Reads `off`, a port, which is one of loopback, or `ip:port`.
    fn from_str(text: &str) -> Result<Self, Problem> {
        if text == "off" {
            return Ok(Self(None));
        }
        let on_loopback = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let addr = text.parse().map(on_loopback).or_else(|_| text.parse());
        addr.map(|addr| Self(Some(addr))).map_err(|_| Problem::NotA {
            text: text.into(),
            expected: "a port of loopback, an address (ip:port), or off",
            example: "\"9464\", or \"192.0.2.1:9464\"",
        })
    }
}

/// The Unix socket of `anyproxy status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StatusSocket {
    /// In the runtime directory, under the name of the process.
    #[default]
    Usual,
    /// There is none.
    Off,
    /// A person named it.
    At(PathBuf),
}

impl StatusSocket {
    /// `off`, or the path.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        if path == Path::new("off") { Self::Off } else { Self::At(path.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_loopback() {
        let read = |text: &str| text.parse::<AdminAddress>().map(|it| it.0);
        assert_eq!(read("off").unwrap(), None);
        assert_eq!(read("9464").unwrap(), Some("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(read("[::]:9464").unwrap(), Some("[::]:9464".parse().unwrap()));
        for wrong in ["", "localhost:1", "70000", "on", "1.2.3.4"] {
            read(wrong).unwrap_err();
        }
    }
}
