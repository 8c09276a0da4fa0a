//! `anyproxy token`: tokens with which clients join.

use std::{fmt::Write as _, fs, io::Write, time::Duration};

use anyproxy_transport::Pin;
use anyproxy_wire::{handshake::Verifier, join_token::JoinToken, message::SecretBytes};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{ManageError, ago, change::say, hand_out::Place, seconds, table};
use crate::{
    certs::Voucher,
    cli::{RollListArgs, TokenArgs, TokenCommand, TokenCreateArgs, TokenRevokeArgs},
    groups::Names,
    join,
    settings::{Outside, Premises},
    store::{Access, Roll, Store, StoreError, StoredToken},
    values::HostPort,
};

/// How long a token lives that nobody gave another time.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(10 * 60);

/// The shortest and the longest life of a token.
const LIVES: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 60 * 60);

/// What to do where nobody vouches for the gateway's certificate.
const UNVOUCHED: &str = "warning: the gateway's certificate comes from no CA that this machine trusts, and its chain does \
    not end with a CA, so the token has no pin and clients do not trust the gateway by themselves\n  \
    fix: append the CA's certificate to the gateway's chain, or let `anyproxy certs` make one, and make another token; \
    or give each client --ca FILE beside --join";

/// A token that nobody has been given yet.
pub(crate) struct Invitation(JoinToken);

impl Invitation {
    /// A new one, for a client of `group`.
    pub(crate) fn new(
        group: &str,
        address: &HostPort,
        pin: Option<Pin>,
    ) -> Result<Self, getrandom::Error> {
        let mut id = [0; 8];
        getrandom::fill(&mut id)?;
        let mut secret = Zeroizing::new([0; anyproxy_wire::join_token::SECRET]);
        getrandom::fill(secret.as_mut_slice())?;
        Ok(Self(JoinToken {
            id,
            secret: SecretBytes::new(secret.as_slice()),
            pin: pin.map(Pin::to_bytes),
            group: group.to_owned(),
            address: address.to_string(),
        }))
    }

    /// What a person is given.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        join::to_text(&self.0)
    }

    /// Makes it good for as long as `life`, from now on.
    pub(crate) fn keep(&self, store: &mut Store, life: Duration) -> Result<(), StoreError> {
        let created = seconds();
        store.add_token(&StoredToken {
            id: self.0.id,
            group: self.0.group.clone(),
            verifier: Verifier::from_secret(&self.0.secret),
            created,
            expires: created.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX)),
            used: None,
        })
    }
}

/// Does what the command line asks for.
///
/// # Errors
///
/// See [`ManageError`]; nothing has changed then.
pub(crate) fn run(
    args: &TokenArgs,
    outside: &mut dyn Outside,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    match &args.command {
        TokenCommand::Create(args) => create(args, outside, out),
        TokenCommand::List(args) => list(args, outside, out),
        TokenCommand::Revoke(args) => revoke(args, outside, out),
    }
}

fn create(
    args: &TokenCreateArgs,
    outside: &mut dyn Outside,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    if !LIVES.contains(&args.ttl) {
        return Err(ManageError::Life);
    }
    let premises = Premises::of_store(&args.store, outside)?;
    let place = Place::choose(&args.out)?;
    let stored = Store::open(premises.data_dir.path(), Access::Read)?;
    if let (None, Some(error)) = (&stored, super::no_directory(&premises)) {
        return Err(error);
    }
    let group = group(args, &premises, stored.as_ref())?;
    let address = address(args, &premises, stored.as_ref())?;
    let voucher = voucher(&premises, stored.as_ref())?;
    let invitation = Invitation::new(&group, &address, voucher.pin())
        .map_err(|error| ManageError::Password(error.into()))?;
    let (text, again) = (invitation.text(), "anyproxy token create".to_owned());
    let line = Zeroizing::new(format!("anyproxy client --join {}", *text));
    place.hand_over(out, (&text, &line), &again, || {
        Ok(invitation.keep(&mut Store::create(premises.data_dir.path())?, args.ttl)?)
    })?;
    let life = ago(i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX));
    place
        .tell(out, &format!("for one client of the group `{group}` at {address}, within {life}"))?;
    match voucher {
        Voucher::Own(_) | Voucher::Public => Ok(()),
        Voucher::Nobody => place.tell(out, UNVOUCHED),
    }
}

/// The group that is named, or the only one.
fn group(
    args: &TokenCreateArgs,
    premises: &Premises,
    stored: Option<&Store>,
) -> Result<String, ManageError> {
    let names = Names::of(premises.groups.clone());
    let mut all: Vec<_> = premises.groups.iter().map(|group| group.name.clone()).collect();
    if let Some(store) = stored {
        let more = store.groups()?.into_iter().map(|group| group.name);
        all.extend(more.filter(|name| !names.has_group(name)));
    }
    match (&args.group, all.as_slice()) {
        (Some(name), all) if all.contains(name) => Ok(name.clone()),
        (Some(name), _) => Err(StoreError::NoSuchGroup(name.clone()).into()),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(ManageError::NoGroup),
        (None, _) => Err(ManageError::WhichGroup(all)),
    }
}

/// Where clients reach the gateway: as the flag, the file or the gateway itself says.
fn address(
    args: &TokenCreateArgs,
    premises: &Premises,
    stored: Option<&Store>,
) -> Result<HostPort, ManageError> {
    if let Some(address) = args.advertise.as_ref().or(premises.advertise.as_ref()) {
        return Ok(address.clone());
    }
    if let Some(listen) = premises.listen.filter(|addr| addr.ip().is_loopback() && addr.port() != 0)
    {
        return Ok(HostPort { host: listen.ip().to_string(), port: listen.port() });
    }
    // What a gateway without a file has kept says nothing of one with a file.
    let kept = match (stored, &premises.config) {
        (Some(store), None) => store.advertised()?,
        (Some(_) | None, _) => None,
    };
    let kept = kept.and_then(|text| text.parse().ok());
    kept.ok_or(ManageError::NoAddress)
}

/// What clients know the gateway by: what it has said that it shows, else what is in its files.
pub(super) fn voucher(premises: &Premises, stored: Option<&Store>) -> Result<Voucher, ManageError> {
    let said = stored.map(Store::voucher).transpose()?.flatten();
    if let Some(Ok(voucher)) = said.map(|text| text.parse()) {
        return Ok(voucher);
    }
    let path = premises.certificate.as_ref().ok_or(ManageError::NoCertificate)?;
    let chain = fs::read(path).map_err(|cause| ManageError::Read { path: path.clone(), cause })?;
    Ok(Voucher::of_pem(&chain))
}

/// A token as it is shown.
#[derive(Debug, Serialize)]
struct Entry {
    id: String,
    group: String,
    /// Seconds since 1970.
    created: i64,
    expires: i64,
    used: Option<i64>,
    /// The client that used it.
    client: Option<String>,
    state: &'static str,
}

fn entries(roll: &Roll, now: i64) -> Vec<Entry> {
    let entry = |token: &StoredToken| {
        let (used, key) = token.used.unzip();
        let client = key.and_then(|key| roll.clients.iter().find(|client| client.key == key));
        Entry {
            id: hex(&token.id),
            group: token.group.clone(),
            created: token.created,
            expires: token.expires,
            used,
            client: client.map(|client| client.id.clone()),
            state: match used {
                Some(_) => "used",
                None if token.expires <= now => "expired",
                None => "usable",
            },
        }
    };
    roll.tokens.iter().map(entry).collect()
}

fn list(
    args: &RollListArgs,
    outside: &mut dyn Outside,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let now = seconds();
    let entries = entries(&super::roll(&args.store, outside)?, now);
    if args.json {
        return super::json(&entries, out);
    }
    if entries.is_empty() {
        return say(out, "no tokens; make one with `anyproxy token create`");
    }
    let rows = entries.iter().map(|entry| {
        let state = match (entry.state, &entry.client) {
            ("usable", _) => format!("usable for {}", ago(entry.expires.saturating_sub(now))),
            ("used", Some(client)) => format!("used by {client}"),
            (state, _) => state.to_owned(),
        };
        let created = format!("{} ago", ago(now.saturating_sub(entry.created)));
        vec![entry.id.clone(), entry.group.clone(), created, state]
    });
    table(&["ID", "GROUP", "CREATED", "STATE"], rows, out)
}

fn revoke(
    args: &TokenRevokeArgs,
    outside: &mut dyn Outside,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let roll = super::roll(&args.store, outside)?;
    let found = roll.tokens.iter().find(|token| hex(&token.id) == args.id.to_ascii_lowercase());
    let token = found.ok_or_else(|| ManageError::NoSuchToken(args.id.clone()))?;
    if let Some((_, key)) = token.used {
        let client = roll.clients.iter().find(|client| client.key == key);
        let client = client.map_or_else(|| "ID".into(), |client| client.id.clone());
        return Err(ManageError::TokenUsed(client));
    }
    super::changing(&args.store, outside)?.remove_token(&token.id)?;
    say(out, &format!("token {} revoked", hex(&token.id)))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _always = write!(text, "{byte:02x}");
        text
    })
}
