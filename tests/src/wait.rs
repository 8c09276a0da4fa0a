//! Waiting for something that has no event of its own.

use std::time::Duration;

use crate::lab::{Lab, Site};

/// Waits until `reached`. On real sockets it only gives other tasks their turn, on the simulated
/// network it lets a millisecond pass. A test that waits for ever is stopped by its runner.
pub async fn until(site: &Site, mut reached: impl FnMut() -> bool) {
    while !reached() {
        if site.gateway_ip.is_loopback() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Lab {
    /// Waits until `reached`, see [`until`].
    pub async fn until(&self, mut reached: impl FnMut(&Self) -> bool) {
        until(&self.site, || reached(self)).await;
    }
}
