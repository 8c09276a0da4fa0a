//! The machine as doctor sees it. Tests have others.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use anyproxy_transport::net::{Net, System, UdpBuffers};

/// Variables that programs take a proxy from.
const PROXY_VARIABLES: [&str; 6] =
    ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];

/// What is known of the machine before anything is asked of the network.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where sockets and names come from.
    pub net: Arc<dyn Net>,
    /// What this machine takes for the time.
    pub now: SystemTime,
    /// What the kernel grants for UDP, if it tells.
    pub udp_buffers: Option<UdpBuffers>,
    /// The largest packet, in bytes with the IP header, that the kernel takes the way to an address to carry.
    pub path_mtu: fn(SocketAddr) -> Option<u32>,
    /// How many file descriptors a process may have, if there is a bound.
    pub files: Option<u64>,
    /// Variables about proxies that are set, with their values.
    pub proxy_variables: Vec<(&'static str, String)>,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let variables = PROXY_VARIABLES.into_iter().filter_map(|name| {
            let value = std::env::var_os(name)?.to_string_lossy().into_owned();
            (!value.is_empty()).then_some((name, value))
        });
        Self {
            net: Arc::new(System::default()),
            now: SystemTime::now(),
            udp_buffers: System::udp_buffers().ok(),
            path_mtu: |addr| System::path_mtu(addr).ok(),
            files: files(),
            proxy_variables: variables.collect(),
        }
    }
}

/// A start raises the limit to what the system allows, so that is what counts.
#[cfg(unix)]
fn files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum
}

#[cfg(not(unix))]
fn files() -> Option<u64> {
    None
}
