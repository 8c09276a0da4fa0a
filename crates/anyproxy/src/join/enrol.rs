//! Using a token: dials until the gateway has answered, one way or the other.

use std::{sync::Arc, time::Duration};

use anyproxy_runtime::Deadline;
use anyproxy_transport::{
    ClientKey, DialError, Dialer, Enrolment, LoginError, Transport, TunnelError, net::Net,
};
use anyproxy_wire::{
    backoff::{Backoff, rounded},
    codes::CloseCode,
};
use tokio::time::sleep;

use super::{JoinError, Pending};
use crate::{client::dial_config, settings::ClientSettings, values::ClientTransport};

/// How long the gateway is tried: longer than that a token does not live by default.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How long QUIC may take where the WebSocket is tried next: a firewall that drops UDP says nothing.
const QUIC_FIRST: Duration = Duration::from_secs(3);

/// The pauses between two rounds: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Why an attempt failed.
#[derive(Debug)]
enum Failed {
    /// It makes no sense to try again.
    ForGood(JoinError),
    /// This way leads to another gateway. The other may not: a port's UDP and TCP can be two machines'.
    Astray(String),
    /// The network, or the gateway at the moment.
    ForNow(String),
}

/// Enrols the client's key with its token, and keeps it. Until the gateway is reached it is tried again,
/// for as long as a token lives; `tell` is told why it did not work yet.
///
/// Not cancel safe: whether the key is enrolled is not known then, and doing it all again is right.
///
/// # Errors
///
/// What a person has to see to.
pub(crate) async fn enrol(
    pending: Pending,
    settings: &ClientSettings,
    net: Arc<dyn Net>,
    tell: impl Fn(&str),
) -> Result<(), JoinError> {
    let key = ClientKey::from_seed(&pending.identity.seed)?;
    let dialer = Dialer::new(net, dial_config(settings))?;
    let gateway = settings.gateway.clone();
    let whole = Deadline::after(PATIENCE);
    let mut pauses = Backoff::new(PAUSES.0, PAUSES.1);
    loop {
        let what = match round(&pending, (&dialer, &key), settings).await {
            Ok(()) => break,
            Err(Failed::ForGood(error)) => return Err(error),
            Err(Failed::Astray(what)) => return Err(JoinError::WrongGateway { gateway, what }),
            Err(Failed::ForNow(what)) => what,
        };
        tell(&what);
        let pause = pauses.next(random());
        if whole.remaining() < pause {
            return Err(JoinError::Unreachable { gateway, what });
        }
        tracing::warn!(%gateway, reason = %what, retry_in = ?rounded(pause), "not joined yet");
        sleep(pause).await;
    }
    pending.state.keep()?;
    let id = &pending.identity.client_id;
    let file = pending.state.enrolled();
    tracing::info!(%gateway, client = %id, file = %file.display(),
        "joined; this client needs no token from now on");
    Ok(())
}

/// Tries each transport once.
async fn round(
    pending: &Pending,
    (dialer, key): (&Dialer, &ClientKey),
    settings: &ClientSettings,
) -> Result<(), Failed> {
    let patience = settings.limits.proxy_timeout;
    let ways: &[_] = match settings.transport {
        ClientTransport::Auto => {
            &[(Transport::Quic, QUIC_FIRST.min(patience)), (Transport::WebSocket, patience)]
        }
        ClientTransport::Quic => &[(Transport::Quic, patience)],
        ClientTransport::Ws => &[(Transport::WebSocket, patience)],
    };
    let mut failures = Vec::new();
    for &(transport, patience) in ways {
        match attempt(pending, (dialer, key), (transport, patience), settings).await {
            Ok(()) => return Ok(()),
            Err(Failed::ForGood(error)) => return Err(Failed::ForGood(error)),
            Err(failed @ (Failed::Astray(_) | Failed::ForNow(_))) => failures.push(failed),
        }
    }
    Err(all(failures))
}

/// What failures of every way come to: where one way may get better, it is tried again.
fn all(failures: Vec<Failed>) -> Failed {
    let mut astray = true;
    let mut reasons = Vec::new();
    for failure in failures {
        match failure {
            Failed::ForGood(error) => return Failed::ForGood(error),
            Failed::Astray(what) => reasons.push(what),
            Failed::ForNow(what) => {
                astray = false;
                reasons.push(what);
            }
        }
    }
    reasons.dedup();
    let what = reasons.join("; and ");
    if astray { Failed::Astray(what) } else { Failed::ForNow(what) }
}

async fn attempt(
    pending: &Pending,
    (dialer, key): (&Dialer, &ClientKey),
    (transport, patience): (Transport, Duration),
    settings: &ClientSettings,
) -> Result<(), Failed> {
    let connected = match dialer.dial(transport, Deadline::after(patience)).await {
        Ok(connected) => connected,
        Err(error) => return Err(not_dialled(&error)),
    };
    let wish = Enrolment {
        group: &pending.identity.group,
        client_id: &pending.identity.client_id,
        token: pending.token.id,
        secret: &pending.token.secret,
        key,
    };
    let deadline = Deadline::after(settings.limits.proxy_timeout);
    connected.enrol(&wish, deadline).await.map_err(not_enrolled)
}

fn not_dialled(error: &DialError) -> Failed {
    let what = error.to_string();
    if error.is_wrong_certificate() { Failed::Astray(what) } else { Failed::ForNow(what) }
}

fn not_enrolled(error: LoginError) -> Failed {
    match error {
        LoginError::Refused(refuse) if is_final(refuse.code) => {
            Failed::ForGood(refused(refuse.code, refuse.reason))
        }
        // The Refuse may be overtaken by the close that follows it.
        LoginError::Tunnel(TunnelError::Closed { code, reason, .. }) if is_final(code) => {
            Failed::ForGood(refused(code, reason))
        }
        LoginError::WrongGateway => Failed::Astray("it does not know the token's secret".into()),
        LoginError::Refused(_)
        | LoginError::Tunnel(_)
        | LoginError::TimedOut
        | LoginError::Random(_)
        | LoginError::Key => Failed::ForNow(error.to_string()),
    }
}

fn refused(code: CloseCode, reason: String) -> JoinError {
    if code == CloseCode::NoCommonVersion {
        JoinError::Versions(reason)
    } else {
        JoinError::Refused(reason)
    }
}

/// Whether the gateway will say the same the next time.
fn is_final(code: CloseCode) -> bool {
    matches!(code, CloseCode::Unauthorised | CloseCode::NoCommonVersion)
}

fn random() -> u64 {
    let mut random = [0; 8];
    // Without randomness the pause is merely not spread.
    let _ = getrandom::fill(&mut random);
    u64::from_le_bytes(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_only_when_every_way_leads_to_another_gateway() {
        let astray = || Failed::Astray("another certificate".into());
        let now = || Failed::ForNow("refused".into());
        assert!(
            matches!(all(vec![astray(), astray()]), Failed::Astray(what) if what == "another certificate")
        );
        for ways in [vec![astray(), now()], vec![now(), astray()]] {
            let Failed::ForNow(what) = all(ways) else { panic!("given up") };
            assert!(what.contains("another certificate") && what.contains("refused"), "{what}");
        }
    }
}
