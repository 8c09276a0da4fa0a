//! A client that comes to enrol its key. It gets no session.

use std::time::Duration;

use anyproxy_transport::{Challenged, TunnelError};
use anyproxy_wire::codes::CloseCode;

use super::{Placed, RETRY_BUSY, RETRY_REFUSED, Sessions, refused};
use crate::enrolment::{self, NotEnrolled, Refused};

impl Sessions {
    /// Enrols the client's key and tells it, or says why not.
    pub(super) async fn enrol(&self, client: Challenged) -> Result<Placed, TunnelError> {
        let (peer, hello) = (client.peer(), client.hello());
        let (group, id) = (hello.principal.clone(), hello.client_id.clone());
        let (code, reason, retry) = match enrolment::enrol(&client, &*self.enrolments).await {
            Ok(proof) => {
                tracing::info!(%group, client = %id, %peer, "client enrolled");
                client.enrolled(proof).await;
                return Ok(Placed::Nowhere);
            }
            Err(Refused::Unproven) => {
                // For the log of a flood there is one line for many.
                self.credentials.note_client(peer.ip());
                tracing::debug!(%peer, ?group, "a client was refused: unknown token");
                (CloseCode::Unauthorised, "this token is not known here".to_owned(), RETRY_REFUSED)
            }
            Err(Refused::Proven(error)) => {
                // Who has a used token can come back with it for ever.
                if let Some(times) = self.unenrolled.happened() {
                    tracing::warn!(%peer, %group, client = ?id, %error, times, "a client was not enrolled");
                }
                let failed = error == NotEnrolled::Failed;
                let retry = if failed { RETRY_BUSY } else { Duration::ZERO };
                (error.code(), error.to_string(), retry)
            }
        };
        client.refuse(code, &reason, retry).await;
        Err(refused(code))
    }
}
