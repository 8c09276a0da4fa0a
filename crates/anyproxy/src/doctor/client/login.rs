//! Whether the gateway takes the group's secret, or the key of a client that joined.
//!
//! The attempt is a *join* of a session that does not exist (`docs/protocol.md`, 4). The gateway checks
//! the secret first, as for every client, and only then looks for the session: "no such session" says that
//! the secret is right. So no session comes up: none is superseded, none is counted, and
//! no user is sent to one that is about to leave, as a log-in under a made-up client id would have it.

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::{Connected, Login, LoginError, Method, StallBudget};
use anyproxy_wire::{codes::CloseCode, message::Intent};

use super::STEP;
use crate::{doctor::Finding, settings::ClientSettings, values};

const CHECK: &str = "login";

/// What helps a client whose key is not taken: it has no secret that could be another.
const ANOTHER: &str = "join again with a new token; on the gateway: anyproxy token create; here: anyproxy client \
                       --join TOKEN";

/// Shows the secret on `connected`, which ends with it.
pub(super) async fn examine(
    settings: &ClientSettings,
    connected: Option<Connected>,
    deadline: Deadline,
) -> Finding {
    let Some(connected) = connected else {
        return Finding::skip(CHECK, "there is no connection to the gateway");
    };
    let login = match login(settings) {
        Ok(login) => login,
        Err(error) => return Finding::fail(CHECK, format!("no random numbers: {error}")),
    };
    let scope = Scope::root("doctor");
    let tried = connected.log_in(&login, deadline.within(STEP), &scope).await;
    scope.cancel();
    match tried {
        Err(LoginError::Refused(refuse)) => refused(settings, refuse.code, &refuse.reason),
        // It cannot be, since nobody knows the session.
        Ok((tunnel, _)) => {
            tunnel.close(CloseCode::Abandoned, "doctor");
            Finding::ok(CHECK, "the gateway lets us in")
        }
        Err(error) => Finding::fail(CHECK, error.to_string()).fix("look at the gateway's log"),
    }
}

fn refused(settings: &ClientSettings, code: CloseCode, reason: &str) -> Finding {
    let group = &settings.group;
    let (with, another) = match settings.method {
        values::Method::Secret | values::Method::Password => ("the secret of", None),
        values::Method::Key => ("the key of this client in", Some(ANOTHER)),
        values::Method::Certificate => ("this client's certificate for", None),
    };
    if code == CloseCode::NoSuchSession {
        return Finding::ok(CHECK, format!("the gateway takes {with} group {group:?}"));
    }
    // It says what is wrong with a certificate, and what to do.
    if code == CloseCode::Unauthorised && settings.method == values::Method::Certificate {
        let value = format!("the gateway does not let this client into group {group:?}");
        return Finding::fail(CHECK, value).fix(reason);
    }
    if code != CloseCode::Unauthorised {
        let value = format!("the gateway refuses: {code} ({reason})");
        return Finding::fail(CHECK, value).fix("look at the gateway's log, and try again");
    }
    if let Some(another) = another {
        let value = format!("the gateway does not take {with} group {group:?}: {reason}");
        return Finding::fail(CHECK, value).fix(another);
    }
    let value = format!("the gateway does not take the group {group:?} with this secret");
    Finding::fail(CHECK, value).fix(format!(
        "compare `group` and the secret with the gateway's; there: anyproxy group list, and for \
         a new secret: anyproxy group secret {group}"
    ))
}

fn login(settings: &ClientSettings) -> Result<Login, getrandom::Error> {
    let (mut session, mut instance) = ([0; 16], [0; 16]);
    getrandom::fill(&mut session)?;
    getrandom::fill(&mut instance)?;
    Ok(Login {
        group: settings.group.clone(),
        client_id: match settings.method {
            values::Method::Secret | values::Method::Password | values::Method::Certificate => {
                "doctor".into()
            }
            // A key belongs to one client.
            values::Method::Key => settings.client_id.clone(),
        },
        instance,
        replica: 0,
        intent: Intent::Join { session },
        join_key: None,
        ping_within: None,
        secret: settings.secret.clone(),
        method: match settings.method {
            values::Method::Secret => Method::Secret,
            values::Method::Password => Method::Password,
            values::Method::Key => Method::Key,
            values::Method::Certificate => Method::Certificate,
        },
        initial_credit: anyproxy_client::Limits::default().initial_credit,
        budget: StallBudget::new(settings.limits.stall_budget),
    })
}
