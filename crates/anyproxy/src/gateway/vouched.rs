//! Tells `anyproxy token create` which certificate the gateway shows: flags and the environment decide that too, so
//! nobody but the gateway knows.

use anyproxy_transport::Identity;

use crate::{
    certs::Voucher,
    failure::chain,
    settings::{DataDir, GatewaySettings},
    store::{Access, Store, StoreError},
};

/// What is kept in the store, for tokens.
#[derive(Debug, Clone)]
pub(super) struct Vouched {
    identity: Identity,
    data_dir: Option<DataDir>,
}

impl Vouched {
    /// Of a gateway with `settings`.
    pub(super) fn of(settings: &GatewaySettings) -> Self {
        Self { identity: settings.identity.clone(), data_dir: settings.data_dir.clone() }
    }

    /// Keeps it. Where there is no store, and nobody named a directory for one, the configuration file has to do.
    pub(super) fn keep(&self) {
        let Some(data_dir) = &self.data_dir else { return };
        if let Err(error) = self.write(data_dir) {
            tracing::warn!(error = %chain(&error), "new tokens may not name the certificate that is shown");
        }
    }

    /// The same, off the runtime's threads.
    pub(super) async fn keep_aside(self) {
        // A panic is logged.
        let _kept = tokio::task::spawn_blocking(move || self.keep()).await;
    }

    fn write(&self, data_dir: &DataDir) -> Result<(), StoreError> {
        let store = match data_dir {
            DataDir::Named(path) => Some(Store::create(path)?),
            DataDir::Default(path) => Store::open(path, Access::Write)?,
        };
        let Some(mut store) = store else { return Ok(()) };
        let voucher = Voucher::of(self.identity.chain()).to_string();
        if store.voucher()?.as_ref() == Some(&voucher) {
            return Ok(());
        }
        store.keep_voucher(&voucher)
    }
}
