//! `anyproxy client list|revoke`: clients that joined with a token.

use std::io::Write;

use serde::Serialize;

use super::{ManageError, ago, change::say, seconds, table, tokens::hex};
use crate::{
    cli::{ClientRevokeArgs, RollCommand, RollListArgs},
    settings::Outside,
};

/// Does what the command line asks for.
///
/// # Errors
///
/// See [`ManageError`]; nothing has changed then.
pub(crate) fn run(
    command: &RollCommand,
    outside: &mut dyn Outside,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    match command {
        RollCommand::List(args) => list(args, outside, out),
        RollCommand::Revoke(args) => revoke(args, outside, out),
    }
}

/// A client as it is shown.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    id: &'a str,
    group: &'a str,
    /// Its public key.
    key: String,
    /// Seconds since 1970.
    joined: i64,
    seen: Option<i64>,
    revoked: Option<i64>,
}

fn list(
    args: &RollListArgs,
    outside: &mut dyn Outside,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let roll = super::roll(&args.store, outside)?;
    let entries = roll.clients.iter().map(|client| Entry {
        id: &client.id,
        group: &client.group,
        key: hex(&client.key),
        joined: client.created,
        seen: client.seen,
        revoked: client.revoked,
    });
    let entries: Vec<_> = entries.collect();
    if args.json {
        return super::json(&entries, out);
    }
    if entries.is_empty() {
        return say(
            out,
            "no client has joined with a token; make one with `anyproxy token create`",
        );
    }
    let now = seconds();
    let before = |time: i64| format!("{} ago", ago(now.saturating_sub(time)));
    let rows = entries.iter().map(|entry| {
        let state = if entry.revoked.is_some() { "revoked" } else { "enrolled" };
        let seen = entry.seen.map_or_else(|| "never".into(), before);
        let key = entry.key.get(..16).unwrap_or_default().to_owned();
        vec![entry.id.into(), entry.group.into(), key, before(entry.joined), seen, state.into()]
    });
    table(&["CLIENT", "GROUP", "KEY", "JOINED", "LOGGED IN", "STATE"], rows, out)
}

fn revoke(
    args: &ClientRevokeArgs,
    outside: &mut dyn Outside,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let roll = super::roll(&args.store, outside)?;
    let named = roll.clients.iter().filter(|client| {
        client.id == args.id
            && client.revoked.is_none()
            && args.group.as_ref().is_none_or(|group| *group == client.group)
    });
    let client = match named.collect::<Vec<_>>().as_slice() {
        [] => return Err(ManageError::NoSuchClient(args.id.clone())),
        [only] => *only,
        several => {
            let groups = several.iter().map(|client| client.group.clone()).collect();
            return Err(ManageError::WhichGroup(groups));
        }
    };
    super::changing(&args.store, outside)?.revoke(&client.key, seconds())?;
    let (id, group) = (&client.id, &client.group);
    say(
        out,
        &format!(
            "client `{id}` of group `{group}` revoked; a running gateway follows within 2 seconds, \
             and ends its sessions"
        ),
    )
}
