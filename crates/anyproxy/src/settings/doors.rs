//! Listeners that cannot be together.
//!
//! Found before anything starts: at a start it would only be known which one came second.

use std::net::{IpAddr, SocketAddr};

use super::{GatewaySettings, input::Input};
use crate::{
    config::{ConfigError, Problem},
    values::GatewayTransport,
};

/// Checks that all TCP listeners of a gateway can be bound beside each other.
pub(super) fn check(input: &Input<'_>, settings: &GatewaySettings) -> Result<(), ConfigError> {
    let all = all(settings);
    for (index, second) in all.iter().enumerate() {
        if let Some(first) = all.iter().take(index).find(|first| collide(first.1, second.1)) {
            return Err(input.error_whole(problem(*first, *second)));
        }
    }
    Ok(())
}

type Listener = (&'static str, SocketAddr);

fn all(settings: &GatewaySettings) -> Vec<Listener> {
    let GatewaySettings { listen, transport, http, https, socks5, mixed, admin, .. } = settings;
    let tunnels: &[SocketAddr] = match transport {
        GatewayTransport::Ws | GatewayTransport::Both => std::slice::from_ref(listen),
        // UDP, whose ports are others.
        GatewayTransport::Quic => &[],
    };
    let https = https.as_ref().map_or(&[][..], |https| &https.addrs);
    let doors = [("listen", tunnels), ("http", http), ("https", https), ("socks5", socks5)];
    let others = [("mixed", mixed.as_slice()), ("admin", admin.addr.as_slice())];
    doors
        .into_iter()
        .chain(others)
        .flat_map(|(key, addrs)| addrs.iter().map(move |addr| (key, *addr)))
        .collect()
}

/// Whether the second would be refused. `[::]` takes IPv4 too, and every address includes itself.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let covers =
        |a: IpAddr, b: IpAddr| a == b || (a.is_unspecified() && (a.is_ipv6() || b.is_ipv4()));
    a.port() != 0 && a.port() == b.port() && (covers(a.ip(), b.ip()) || covers(b.ip(), a.ip()))
}

fn problem((key, addr): Listener, (other, second): Listener) -> Problem {
    let what = match (key == other, addr == second) {
        (true, true) => format!("`{key}` names {addr} twice"),
        (false, true) => format!("`{key}` and `{other}` both listen on {addr}"),
        (_, false) => {
            format!(
                "`{key}` listens on {addr} and `{other}` on {second}, which is part of the same"
            )
        }
    };
    let fix = if key == other {
        format!("name it once in `{key}`")
    } else {
        let off = if key == "listen" { other } else { key };
        format!("give `{key}` or `{other}` another port, or switch one off: {off} = \"off\"")
    };
    Problem::Refused { what, fix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_collide_where_the_system_refuses_the_second() {
        for (a, b, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("[::]:80", "[::1]:80", true),
            ("[::1]:80", "127.0.0.1:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (a, b) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((collide(a, b), collide(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
