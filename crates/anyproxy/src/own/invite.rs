//! How the first client joins: one line, on a terminal only.

use std::io::{self, IsTerminal as _, Write as _};

use anyproxy_gateway::Addresses;

use super::{Own, OwnError, group};
use crate::{
    manage::{Invitation, TOKEN_LIFE},
    own::places,
    store::{Access, Store},
    values::HostPort,
};

impl Own {
    /// Keeps the address for later tokens, and says how clients join: with a token, while none has
    /// joined and somebody looks.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub(crate) fn invite(&self, addresses: &Addresses) -> Result<(), OwnError> {
        let local = || HostPort {
            host: addresses.tunnels.ip().to_string(),
            port: addresses.tunnels.port(),
        };
        let address = self.advertise.clone().unwrap_or_else(local);
        let mut store = Store::create(&self.directory)?;
        store.advertise(&address.to_string())?;
        let file = group::password_file(&self.directory);
        let groups = store.groups()?;
        if file.exists() && groups.iter().any(|group| group.name == group::NAME) {
            tracing::info!(user = group::NAME, password_file = %file.display(),
                "users of the proxies log in with what is in this file");
        }
        if self.advertise.is_none() {
            tracing::info!(%address, "only clients on this machine reach this gateway; for others start it with \
                --advertise HOST:PORT");
        }
        let alone = store.roll()?.clients.iter().all(|client| client.revoked.is_some());
        let only = match groups.as_slice() {
            [only] if alone && io::stdout().is_terminal() => only,
            _ => {
                self.tell_how();
                return Ok(());
            }
        };
        let invitation = Invitation::new(&only.name, &address, self.pin()?);
        let invitation = invitation.map_err(OwnError::Random)?;
        invitation.keep(&mut Store::open_or_gone(&self.directory, Access::Write)?, TOKEN_LIFE)?;
        // If nobody sees it, nobody uses it.
        let _unseen = writeln!(io::stdout(), "anyproxy client --join {}", *invitation.text());
        Ok(())
    }

    fn tell_how(&self) {
        let mut command = "anyproxy token create".to_owned();
        if places::gateway().as_ref() != Some(&self.directory) {
            command = format!("{command} --data-dir {}", self.directory.display());
        }
        tracing::info!(%command, "clients join with tokens, which this command makes");
    }

    fn pin(&self) -> Result<Option<anyproxy_transport::Pin>, OwnError> {
        let path = self.directory.join(super::certificates::CERTIFICATE);
        let chain = std::fs::read(&path).map_err(|cause| OwnError::Write { path, cause })?;
        Ok(crate::certs::authority_pin(&chain))
    }
}
