//! `anyproxy gateway`: from settings to a running gateway.

use crate::{failure::RunError, settings::GatewaySettings};

/// Runs a gateway until a signal ends it.
///
/// Not cancel safe: dropping the future ends the gateway without a drain.
///
/// # Errors
///
/// See [`RunError`].
pub async fn run(settings: GatewaySettings) -> Result<(), RunError> {
    tracing::info!(listen = %settings.listen, "gateway");
    tokio::signal::ctrl_c().await.map_err(RunError::Signals)
}
