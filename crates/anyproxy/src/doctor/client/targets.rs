//! Whether the targets of forwards are there, within the policy.
//!
//! Whether the gateway gives the ports is not asked: to ask is to take, and users would be sent here.

use std::{collections::HashSet, sync::Arc};

use anyproxy_client::egress::{Destination, DialError, Egress};
use anyproxy_runtime::{Deadline, Scope};
use tokio::sync::{Semaphore, mpsc};

use super::STEP;
use crate::{
    doctor::{Finding, Surroundings},
    settings::ClientSettings,
    values::ForwardProtocol,
};

const CHECK: &str = "target";
/// Targets dialled at once.
const AT_ONCE: usize = 32;

/// Dials each target once, as a connection through its forward would.
pub(super) async fn examine(
    settings: &ClientSettings,
    here: &Surroundings,
    deadline: Deadline,
) -> Vec<Finding> {
    let targets = settings.forwards.iter().map(|it| (it.target.to_string(), it.protocol));
    let targets = targets.collect::<HashSet<_>>();
    if targets.is_empty() {
        return vec![Finding::skip(CHECK, "there is no forward")];
    }
    let egress = Egress::new(Arc::clone(&here.net), Arc::new(settings.policy.clone()));
    let scope = Scope::root("doctor");
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let (results, mut found) = mpsc::channel(targets.len());
    for (target, protocol) in targets {
        let (egress, turns, results) = (egress.clone(), Arc::clone(&turns), results.clone());
        scope.spawn("target", async move {
            let _turn = turns.acquire_owned().await;
            let finding = dial(&egress, target, protocol, deadline).await;
            // Nobody waits for it any more.
            let _gone = results.send(finding).await;
        });
    }
    drop(results);
    let mut findings = Vec::new();
    while let Ok(Some(finding)) = deadline.bound(found.recv()).await {
        findings.push(finding);
    }
    scope.cancel();
    findings.sort_by(|a: &Finding, b| a.value.cmp(&b.value));
    findings
}

async fn dial(
    egress: &Egress,
    target: String,
    protocol: ForwardProtocol,
    deadline: Deadline,
) -> Finding {
    let (began, deadline) = (tokio::time::Instant::now(), deadline.within(STEP));
    let destination = Destination::Configured(target.clone());
    let reached = match protocol {
        ForwardProtocol::Tcp => egress
            .dial(&destination, deadline)
            .await
            .map(|dialled| format!("{target} takes connections at {}", dialled.address)),
        ForwardProtocol::Udp => egress
            .addresses(&destination, deadline)
            .await
            .map(|_| format!("{target} may be reached over UDP, which tells no more")),
    };
    match reached {
        Ok(value) => Finding::ok(CHECK, value).took(began.elapsed()),
        Err(error) => {
            let text = error.to_string();
            // An address is in the error already.
            let value = if text.starts_with(&target) { text } else { format!("{target}: {text}") };
            Finding::fail(CHECK, value).fix(fix(&error, &target))
        }
    }
}

fn fix(error: &DialError, target: &str) -> String {
    match error {
        DialError::NameDenied { .. } | DialError::AddressDenied { .. } => {
            "change `deny` under [policy], or the forward's target (docs/policy.md)".into()
        }
        DialError::Connect { error, .. }
            if error.kind() == std::io::ErrorKind::ConnectionRefused =>
        {
            format!("start the service at {target}, or correct the forward's `target`")
        }
        DialError::Connect { address, .. } => {
            format!("check the way to it from here: ip route get {}", address.ip())
        }
        DialError::BadTarget(_) => "correct the forward's `target`".into(),
        DialError::NameNotFound(name) => format!("check the name: getent ahosts {name}"),
        DialError::LookupFailed { host, .. } | DialError::LookupTimedOut(host) => {
            format!("check this machine's resolver: getent ahosts {host}")
        }
    }
}
