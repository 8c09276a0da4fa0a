//! The ports that a session holds.

use std::{collections::HashMap, sync::Arc};

use anyproxy_wire::{
    codes::ForwardCode,
    frame::Frame,
    message::{ForwardReply, ForwardRequest},
};

use super::Sessions;
use crate::{ports::Hold, registry::Session};

impl Sessions {
    /// Answers a request for a port.
    pub(super) async fn forward(
        &self,
        session: &Arc<Session>,
        request: &ForwardRequest,
        holds: &mut HashMap<u64, Hold>,
    ) -> ForwardReply {
        let refuse = |code, detail: &str| ForwardReply {
            id: request.id,
            code,
            bound: None,
            detail: detail.into(),
        };
        holds.retain(|_, hold| hold.is_live());
        if let Some(hold) = holds.get(&request.id) {
            if hold.is_for(request) {
                // The answer went to a tunnel that is lost.
                let (code, bound) = (ForwardCode::Bound, Some(hold.bound()));
                return ForwardReply { id: request.id, code, bound, detail: String::new() };
            }
            return refuse(ForwardCode::InvalidAddress, "this id is in use");
        }
        if holds.len() >= self.limits.max_forwards {
            return refuse(ForwardCode::Limit, "too many forwards in this session");
        }
        let (reply, hold) = self.ports.request(session, request).await;
        holds.extend(hold.map(|hold| (request.id, hold)));
        reply
    }
}

/// Tells a client which of its ports its group may not have any more.
pub(super) async fn give_up(session: &Session, holds: &mut HashMap<u64, Hold>) {
    let revoked = holds.extract_if(|_, hold| !hold.is_live()).map(|(id, _)| id).collect::<Vec<_>>();
    for id in revoked {
        let reply = ForwardReply {
            id,
            code: ForwardCode::NotAllowed,
            bound: None,
            detail: "the group may not have this port any more".into(),
        };
        answer(session, reply).await;
    }
}

/// Sends it over the tunnel for whatever is new.
pub(super) async fn answer(session: &Session, reply: ForwardReply) {
    if let Some(lane) = session.current() {
        // An error means that the tunnel is over.
        let _ = lane.tunnel.send_control(Frame::ForwardReply(reply)).await;
    }
}
