//! `anyproxy client`: from settings to a running client.

use crate::{failure::RunError, settings::ClientSettings};

/// Runs a client until a signal ends it.
///
/// Not cancel safe: dropping the future ends the client without a drain.
///
/// # Errors
///
/// See [`RunError`].
pub async fn run(settings: ClientSettings) -> Result<(), RunError> {
    tracing::info!(gateway = %settings.gateway, "client");
    tokio::signal::ctrl_c().await.map_err(RunError::Signals)
}
