//! The groups of a gateway's file.

use std::collections::{HashMap, HashSet};

use anyproxy_wire::handshake::Secret;
use toml::Spanned;

use super::{
    Warning, client_ca,
    input::{Input, Strength},
    limits,
};
use crate::{
    config::{
        ConfigError, Problem,
        raw::{RawGroup, RawUser, Text},
    },
    groups::{Credential, GroupOutline, GroupSettings, UserSettings},
    password::generate_secret,
    values::{group_name, user_name},
};

/// The groups with their credentials. Names of groups, and of users over all groups, are distinct.
pub(super) fn groups(
    input: &mut Input<'_>,
    raw: &[Spanned<RawGroup>],
) -> Result<Vec<GroupSettings>, ConfigError> {
    let outlines = outlines(input, raw)?;
    let variable = match raw {
        [] => None,
        [_] => input.secret_variable(Strength::Generated)?.map(|secret| Credential::of(&secret)),
        [..] => {
            if input.outside.secret_variable().is_some() {
                input.warnings.push(Warning::UnusedSecret);
            }
            None
        }
    };
    let mut cas = Vec::new();
    let mut groups = Vec::with_capacity(raw.len());
    for (raw, outline) in raw.iter().map(Spanned::get_ref).zip(outlines) {
        let group = group(input, raw, outline, variable.clone())?;
        if let Some(ca) = &group.client_ca {
            client_ca::distinct(input, raw, (&group.name, ca), &cas)?;
            cas.push((group.name.clone(), ca.clone()));
        }
        groups.push(group);
    }
    client_ca::beside_each_other(&mut groups);
    Ok(groups)
}

/// The groups without their credentials, whose files stay unread.
pub(super) fn outlines(
    input: &Input<'_>,
    raw: &[Spanned<RawGroup>],
) -> Result<Vec<GroupOutline>, ConfigError> {
    let mut names = HashSet::new();
    let mut users = HashMap::new();
    let mut outlines = Vec::with_capacity(raw.len());
    for raw in raw.iter().map(Spanned::get_ref) {
        let outline = outline(input, raw)?;
        if !names.insert(outline.name.clone()) {
            let problem = Problem::Duplicate { what: "the group", name: outline.name };
            return Err(input.error_at(&raw.name, problem));
        }
        for (index, user) in outline.users.iter().enumerate() {
            if let Some(other) = users.insert(user.clone(), outline.name.clone()) {
                let problem = taken(user, &other);
                // The user that is named as the group stands behind the others.
                let at = raw.user.get(index).map_or(&raw.name, |user| &user.get_ref().name);
                return Err(input.error_at(at, problem));
            }
        }
        outlines.push(outline);
    }
    Ok(outlines)
}

fn taken(user: &str, group: &str) -> Problem {
    Problem::Refused {
        what: format!("the group `{group}` has a user `{user}` already"),
        fix: "rename one of them: a user's name tells the group, so it is unique over all groups"
            .into(),
    }
}

fn outline(input: &Input<'_>, raw: &RawGroup) -> Result<GroupOutline, ConfigError> {
    let name = input.read(&raw.name, group_name)?;
    let users = raw.user.iter().map(|user| input.read(&user.get_ref().name, user_name));
    let mut users = users.collect::<Result<Vec<_>, _>>()?;
    if own_user(raw) {
        users.push(name.clone());
    }
    let forwards = raw.forwards.iter().map(|raw| input.read(raw, str::parse));
    Ok(GroupOutline {
        name,
        users,
        forwards: forwards.collect::<Result<_, _>>()?,
        limits: limits::of_group(input, raw)?,
    })
}

/// Whether there is a user named as the group: one who names users wants those and no other, and without a
/// secret in the file there is nothing that this user would know.
fn own_user(raw: &RawGroup) -> bool {
    let secret = raw.client_ca.is_none() || raw.secret_file.is_some() || raw.secret_hash.is_some();
    (raw.user.is_empty() && secret) || raw.password_file.is_some() || raw.password_hash.is_some()
}

fn group(
    input: &mut Input<'_>,
    raw: &RawGroup,
    outline: GroupOutline,
    variable: Option<Credential>,
) -> Result<GroupSettings, ConfigError> {
    let client_ca = client_ca::client_ca(input, raw)?;
    let keys = ("secret_file", "secret_hash");
    let sources = (raw.secret_file.as_ref(), raw.secret_hash.as_ref());
    let tunnel = match variable {
        Some(credential) => Some(credential),
        None => credential(input, keys, sources, Strength::Generated)?,
    };
    let tunnel = match (tunnel, &client_ca) {
        (Some(credential), _) => credential,
        (None, Some(_)) => unknown().map_err(|problem| input.error_at(&raw.name, problem))?,
        (None, None) => {
            let what = "the group has neither `secret_file`, `secret_hash` nor `client_ca`";
            let fix = "run `anyproxy certs --group NAME` and set secret_file = \"…/NAME.secret\"";
            return Err(input.error_at(&raw.name, Problem::Missing { what, fix }));
        }
    };
    let mut users = Vec::with_capacity(outline.users.len());
    for raw in &raw.user {
        users.push(user(input, raw.get_ref())?);
    }
    let sources = (raw.password_file.as_ref(), raw.password_hash.as_ref());
    let own = credential(input, PASSWORD, sources, Strength::Password)?;
    if own_user(raw) {
        let password = own.unwrap_or_else(|| tunnel.clone());
        users.push(UserSettings { name: outline.name.clone(), password });
    }
    let GroupOutline { name, forwards, limits, .. } = outline;
    Ok(GroupSettings { name, tunnel, client_ca, users, forwards, limits })
}

/// A secret that nobody knows: certificates alone let clients in.
fn unknown() -> Result<Credential, Problem> {
    let secret = generate_secret().map_err(|error| Problem::Refused {
        what: format!("no random numbers: {error}"),
        fix: "try again".into(),
    })?;
    Ok(Credential::of(&Secret::new(secret.as_bytes())))
}

/// The keys of a user's password.
const PASSWORD: (&str, &str) = ("password_file", "password_hash");

fn user(input: &mut Input<'_>, raw: &RawUser) -> Result<UserSettings, ConfigError> {
    let name = input.read(&raw.name, user_name)?;
    let sources = (raw.password_file.as_ref(), raw.password_hash.as_ref());
    let password = credential(input, PASSWORD, sources, Strength::Password)?;
    let password = password.ok_or_else(|| {
        let what = "the user has neither `password_file` nor `password_hash`";
        let fix = "run `anyproxy hash-password` and set password_hash to what it prints";
        input.error_at(&raw.name, Problem::Missing { what, fix })
    })?;
    Ok(UserSettings { name, password })
}

/// Makes a credential of `(file, hash)`, of which at most one may be given.
fn credential(
    input: &mut Input<'_>,
    keys: (&'static str, &'static str),
    sources: (Option<&Text>, Option<&Text>),
    strength: Strength,
) -> Result<Option<Credential>, ConfigError> {
    match sources {
        (Some(_), Some(hash)) => Err(input.error_at(hash, Problem::Exclusive(keys.0, keys.1))),
        (Some(file), None) => {
            let path = input.path(file);
            let secret = input.secret_file(&path, strength)?;
            let kept = match strength {
                Strength::Generated => Ok(Credential::of(&secret)),
                Strength::Password | Strength::Any => Credential::of_password(&secret),
            };
            kept.map(Some).map_err(|problem| input.error_at(file, problem))
        }
        (None, Some(hash)) => input.read(hash, Credential::from_hash).map(Some),
        (None, None) => Ok(None),
    }
}
