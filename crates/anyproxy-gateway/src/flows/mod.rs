//! UDP flows at the gateway, whichever door they come in by.
//!
//! ```text
//! socket ─▶ Table: whose flow? ─▶ Inbox ─▶ pump ─▶ Flow ══ tunnel
//! socket ◀──────────────────────────────── pump ◀─ Flow
//! ```
//!
//! One task reads a socket, and one task owns each flow. Between the two is the flow's inbox, the
//! only queue here: bounded in datagrams and in bytes. Nobody waits for a datagram's sake; what has
//! no room is dropped and counted.
//!
//! A flow ends when it has been idle, when its session dies or falls silent, when the client ends it, when it
//! gives way to another, and when its door closes. One that was refused keeps its place for
//! [`HOLD_OFF`], so that a peer that goes on sending to a dead target costs one open in that time
//! and not one for each datagram.

mod inbox;
mod pump;
mod table;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyproxy_runtime::{Scope, Trouble};
use anyproxy_transport::net::{MORE_FILES, Net, is_out_of_files};
use tokio::sync::Semaphore;

pub(crate) use pump::{Unopened, UserSide};
pub(crate) use table::{Bounds, Table};

use crate::{config::Limits, figures::Counters};

/// How long a flow that was refused keeps its place.
pub(crate) const HOLD_OFF: Duration = Duration::from_secs(2);

/// In a drain: silence after which a flow has no answer to wait for.
const LAST_QUIET: Duration = Duration::from_secs(1);
/// In a drain: how long a flow lives at most.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How often it is looked, while datagrams go to the client, whether it is still there.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Room for the largest datagram.
const LARGEST: usize = 65_535;

/// The pause after a socket could not be read, so that an error that stays does not spin.
pub(crate) const READ_PAUSE: Duration = Duration::from_millis(5);

/// What all flows of a gateway share.
#[derive(Debug)]
pub(crate) struct Flows {
    pub(crate) net: Arc<dyn Net>,
    /// Whose drain and cancel flows follow.
    pub(crate) scope: Scope,
    pub(crate) counters: Arc<Counters>,
    /// One for each flow, over all doors.
    permits: Arc<Semaphore>,
    /// Silence in both directions that ends a flow.
    idle: Duration,
    /// How long opening one may take.
    pub(crate) open_within: Duration,
    /// Flows of one forwarded port.
    pub(crate) max_port_flows: usize,
    /// Through which all sockets receive: 64 KiB for each would be much for what mostly rests.
    pub(crate) buffer: Mutex<Vec<u8>>,
    out_of_files: Trouble,
}

impl Flows {
    pub(crate) fn new(net: Arc<dyn Net>, scope: Scope, limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            net,
            scope,
            counters: Arc::default(),
            permits: Arc::new(Semaphore::new(limits.max_flows)),
            idle: limits.flow_idle,
            open_within: limits.proxy_timeout,
            max_port_flows: limits.max_port_flows,
            buffer: Mutex::new(vec![0; LARGEST]),
            out_of_files: Trouble::default(),
        })
    }

    /// Logs that a socket of a user or a port was not to be had for want of descriptors, and that
    /// there are some again; whoever asked for it is told too.
    pub(crate) fn told<T>(&self, made: io::Result<T>) -> io::Result<T> {
        match &made {
            Ok(_) if self.out_of_files.is_over() => {
                tracing::info!("there are file descriptors again; sockets are made");
            }
            Err(error) if is_out_of_files(error) => {
                if let Some(times) = self.out_of_files.happened() {
                    tracing::error!(
                        times,
                        fix = MORE_FILES,
                        "no socket for a port or a UDP association: there are no file descriptors left"
                    );
                }
            }
            Ok(_) | Err(_) => {}
        }
        made
    }
}
