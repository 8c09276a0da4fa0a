//! Joining a gateway: a token is traded once for a key of the client's own.
//!
//! ```text
//! --join, --join-file, ANYPROXY_JOIN ─▶ token ─┬─ joined with it before? ─▶ identity.json
//!                                              └─ new key, kept ─▶ enrol ─▶ identity.json
//! nothing ─▶ identity.json, unless the command line or a file names a gateway
//! ```
//!
//! The identity then stands for the gateway, the pin, the group, the client id and the secret of a client's
//! settings.

mod enrol;
mod error;
mod identity;
mod token;

use anyproxy_transport::ClientKey;
use anyproxy_wire::join_token::JoinToken;
use zeroize::Zeroizing;

use crate::{
    cli::ClientArgs,
    config::{Problem, read_text},
    own::places,
    settings::Outside,
    values::{HostPort, client_id},
};
pub(crate) use enrol::enrol;
pub use error::JoinError;
pub(crate) use identity::ENROLLED as IDENTITY;
pub use identity::Identity;
use identity::StateDir;
pub(crate) use token::to_text;

/// The largest file with a token, in bytes.
const LARGEST: u64 = 4096;

/// A token that is to be used before the client starts.
#[derive(Debug)]
pub(crate) struct Pending {
    token: JoinToken,
    identity: Identity,
    state: StateDir,
}

/// Finds out who the client is, or is about to be, and writes that into its arguments.
///
/// # Errors
///
/// When the token will not do, or what is kept cannot be read or written.
pub(crate) fn prepare(
    args: &ClientArgs,
    outside: &mut dyn Outside,
) -> Result<(ClientArgs, Option<Pending>), JoinError> {
    let Some(token) = given(args, outside)? else {
        return Ok((joined(args)?, None));
    };
    let mut args = args.clone();
    let state = state_dir(&args).ok_or(JoinError::NoDirectory)?;
    let known = state.read()?;
    if let Some(known) = known.filter(|known| known.token == token.id) {
        args.identity = Some(known);
        check_id(&args)?;
        return Ok((args, None));
    }
    let pending = pending(&args, token, state, outside)?;
    args.identity = Some(pending.identity.clone());
    Ok((args, Some(pending)))
}

/// The arguments of a client that has joined, with who it is; others as they are.
///
/// # Errors
///
/// When what is kept cannot be read, or belongs to another client.
pub(crate) fn joined(args: &ClientArgs) -> Result<ClientArgs, JoinError> {
    let mut args = args.clone();
    args.identity = kept(&args)?;
    check_id(&args)?;
    Ok(args)
}

/// Whether a client that joined keeps its identity in `directory`.
///
/// # Errors
///
/// When what is there cannot be used.
pub(crate) fn has_identity(directory: &std::path::Path) -> Result<bool, JoinError> {
    Ok(StateDir(directory.into()).read()?.is_some())
}

/// The token, from the flag, the file or the environment.
fn given(args: &ClientArgs, outside: &mut dyn Outside) -> Result<Option<JoinToken>, JoinError> {
    let (text, origin) = match (&args.join.join, &args.join.join_file) {
        (Some(text), _) if *text.0 == "-" => {
            let bytes = Zeroizing::new(outside.standard_input().map_err(JoinError::Stdin)?);
            (Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()), "standard input".into())
        }
        (Some(text), _) => (text.0.clone(), "--join".into()),
        (None, Some(path)) => {
            (Zeroizing::new(read_text(path, LARGEST)?), path.display().to_string())
        }
        (None, None) => match outside.join_variable() {
            Some(text) => (Zeroizing::new(text), "ANYPROXY_JOIN".into()),
            None => return Ok(None),
        },
    };
    if text.trim().is_empty() {
        return Err(JoinError::Token(token::missing(&origin)));
    }
    let token = token::from_text(&text).map_err(JoinError::Token)?;
    Ok(Some(token))
}

/// Who the client is, unless it is told to be somebody else.
fn kept(args: &ClientArgs) -> Result<Option<Identity>, JoinError> {
    let named = args.join.state_dir.is_some();
    let other = args.config.is_some() || args.gateway.is_some() || args.group.is_some();
    if other && !named {
        return Ok(None);
    }
    let Some(state) = state_dir(args) else { return Ok(None) };
    let known = state.read()?;
    if known.is_none() && named && !other {
        return Err(JoinError::NotJoined(state.0));
    }
    Ok(known)
}

fn state_dir(args: &ClientArgs) -> Option<StateDir> {
    args.join.state_dir.clone().or_else(places::client).map(StateDir)
}

/// A key is enrolled for one id.
fn check_id(args: &ClientArgs) -> Result<(), JoinError> {
    match (&args.identity, &args.client_id) {
        (Some(identity), Some(id)) if identity.client_id != *id => {
            Err(JoinError::OtherId(identity.client_id.clone()))
        }
        _ => Ok(()),
    }
}

/// The key for a token, made and kept now unless that was done before.
fn pending(
    args: &ClientArgs,
    token: JoinToken,
    state: StateDir,
    outside: &dyn Outside,
) -> Result<Pending, JoinError> {
    let gateway: HostPort = token.address.parse()?;
    if let Some(other) = state.read()?.filter(|known| !is_for(known, &token)) {
        return Err(JoinError::OtherGateway { file: state.enrolled(), gateway: other.gateway });
    }
    let tried = state.read_pending()?.filter(|tried| tried.token == token.id);
    if let Some(identity) =
        tried.filter(|it| args.client_id.as_ref().is_none_or(|id| *id == it.client_id))
    {
        return Ok(Pending { token, identity, state });
    }
    let seed = ClientKey::new_seed()?;
    let id = match &args.client_id {
        Some(id) => id.clone(),
        None => own_id(outside, &ClientKey::from_seed(&seed)?),
    };
    let identity = Identity::new(&token, gateway, id, seed);
    state.write_pending(&identity)?;
    Ok(Pending { token, identity, state })
}

fn is_for(known: &Identity, token: &JoinToken) -> bool {
    known.pin.map(anyproxy_transport::Pin::to_bytes) == token.pin && known.group == token.group
}

/// The host's name and a part of the key: machines of one name do not get in each other's way.
fn own_id(outside: &dyn Outside, key: &ClientKey) -> String {
    let host = outside.host_name().and_then(|name| client_id(&name).ok());
    let host = host.unwrap_or_else(|| "client".into());
    let [a, b, c, ..] = key.public();
    let short: String = host.chars().take(64).collect();
    format!("{short}-{a:02x}{b:02x}{c:02x}")
}

impl From<Problem> for JoinError {
    fn from(problem: Problem) -> Self {
        Self::Input(problem)
    }
}
