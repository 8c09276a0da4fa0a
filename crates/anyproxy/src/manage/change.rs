//! The commands that change the store.

use std::{fmt::Write as _, io::Write, path::Path};

use anyproxy_wire::handshake::Secret;

use super::{ManageError, hand_out::Place};
use crate::{
    certs::Voucher,
    cli::{
        GroupAddArgs, GroupPasswdArgs, GroupRemoveArgs, GroupSecretArgs, GroupSetArgs, ShareArgs,
    },
    groups::{Credential, GroupLimits, GroupSettings, Names},
    password,
    settings::Premises,
    store::{Access, Set, Store, StoreError},
};

/// What is said after a change that has an effect.
const SOON: &str = "a running gateway follows within 2 seconds";

/// Adds a group.
pub(super) fn add(
    premises: &Premises,
    args: &GroupAddArgs,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let names = Names::of(premises.groups.clone());
    if names.has_group(&args.name) {
        return Err(ManageError::group_in_file(&args.name, premises.config.as_deref()));
    }
    let place = Place::choose(&args.out)?;
    let mut store = Store::create(premises.data_dir.path())?;
    let mut group = GroupSettings {
        name: args.name.clone(),
        tunnel: Credential::of(&Secret::new(Vec::new())),
        client_ca: None,
        users: vec![],
        forwards: vec![],
        limits: GroupLimits::default(),
    };
    apply(&args.share, &mut group);
    place.hand_out(out, &another_secret(premises, &args.name), |secret| {
        group.tunnel = Credential::of(&Secret::new(secret));
        Ok(store.add(&group)?)
    })?;
    let path = store.path().display();
    place.tell(out, &format!("group `{}` added to {path}; {SOON}", args.name))?;
    place.tell(out, &client_command(premises, &args.name, &place))?;
    let command = command(premises, &format!("passwd {} --user USER", args.name));
    place.tell(out, &format!("\nIts users log in once they have a password:\n  {command}"))
}

/// Generates another secret for a group's clients.
pub(super) fn secret(
    premises: &Premises,
    args: &GroupSecretArgs,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let mut store = stored(premises, &args.name)?;
    let place = Place::choose(&args.out)?;
    place.hand_out(out, &another_secret(premises, &args.name), |secret| {
        let tunnel = Credential::of(&Secret::new(secret));
        store.change(&args.name, |group| {
            group.tunnel = tunnel;
            Ok(())
        })?;
        Ok(())
    })?;
    if is_shadowed(premises, &args.name) {
        let soon = effect(premises, &args.name, None);
        return place.tell(out, &format!("group `{}` has another secret; {soon}", args.name));
    }
    let told = format!("group `{}` has another secret, and the old one ends; {SOON}", args.name);
    place.tell(out, &told)?;
    place.tell(out, &client_command(premises, &args.name, &place))
}

/// Changes the ports and limits of a group.
pub(super) fn set(
    premises: &Premises,
    args: &GroupSetArgs,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    if is_empty(&args.share) {
        return Err(ManageError::NothingToSet);
    }
    stored(premises, &args.name)?.change(&args.name, |group| {
        apply(&args.share, group);
        Ok(())
    })?;
    let soon = effect(premises, &args.name, None);
    say(out, &format!("group `{}` changed; {soon}", args.name))
}

/// Gives a user a password, or removes one.
pub(super) fn passwd(
    premises: &Premises,
    args: &GroupPasswdArgs,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    if args.out.secret_out.is_some() && !args.generate {
        return Err(ManageError::NothingToWrite);
    }
    let mut store = stored(premises, &args.name)?;
    let user = args.user.as_ref().unwrap_or(&args.name);
    if args.remove {
        store.remove_user(&args.name, user)?;
        let soon = effect(premises, &args.name, Some(user));
        return say(out, &format!("user `{user}` of group `{}` removed; {soon}", args.name));
    }
    if Names::of(premises.groups.clone()).has_user(user) {
        return Err(ManageError::user_in_file(user, premises.config.as_deref()));
    }
    let (place, done) = if args.generate {
        let place = Place::choose(&args.out)?;
        let again = format!("passwd {} --user {user} --generate", args.name);
        let done = place.hand_out(out, &command(premises, &again), |secret| {
            let password = Credential::of(&Secret::new(secret));
            Ok(store.set_user(&args.name, user, password)?)
        })?;
        (place, done)
    } else {
        let password = password::read_password()?;
        (Place::Screen, store.set_user(&args.name, user, password)?)
    };
    let done = match done {
        Set::Added => "added",
        Set::Changed => "has another password",
    };
    let soon = effect(premises, &args.name, Some(user));
    place.tell(out, &format!("user `{user}` of group `{}` {done}; {soon}", args.name))
}

/// Removes a group.
pub(super) fn remove(
    premises: &Premises,
    args: &GroupRemoveArgs,
    out: &mut dyn Write,
) -> Result<(), ManageError> {
    let name = &args.name;
    // Not read first: a row that cannot be read can be removed.
    match open(premises, name)?.remove(name) {
        Ok(()) => {}
        Err(StoreError::NoSuchGroup(_)) => return Err(absent(premises, name)),
        Err(error) => return Err(error.into()),
    }
    let soon = match is_shadowed(premises, name) {
        true => effect(premises, name, None),
        false => format!("{SOON}, and ends its sessions"),
    };
    say(out, &format!("group `{name}` removed with its users; {soon}"))
}

fn is_shadowed(premises: &Premises, name: &str) -> bool {
    premises.groups.iter().any(|group| group.name == name)
}

/// What a change of a stored group, or of a user of it, does to a gateway that runs.
fn effect(premises: &Premises, name: &str, user: Option<&str>) -> String {
    let file = || premises.config.as_deref().unwrap_or(Path::new("")).display();
    if is_shadowed(premises, name) {
        return format!("no gateway changes, since the group of that name in {} wins", file());
    }
    match user {
        Some(user) if Names::of(premises.groups.clone()).has_user(user) => {
            format!("no gateway changes, since the user of that name in {} wins", file())
        }
        Some(_) | None => SOON.into(),
    }
}

pub(super) fn say(out: &mut dyn Write, text: &str) -> Result<(), ManageError> {
    writeln!(out, "{text}").map_err(ManageError::Output)
}

/// The store, if the group may be in it.
fn open(premises: &Premises, name: &str) -> Result<Store, ManageError> {
    let store = Store::open(premises.data_dir.path(), Access::Write)?;
    store.ok_or_else(|| absent(premises, name))
}

/// The store, which has the group.
fn stored(premises: &Premises, name: &str) -> Result<Store, ManageError> {
    let store = open(premises, name)?;
    if store.groups()?.iter().any(|group| group.name == name) {
        return Ok(store);
    }
    Err(absent(premises, name))
}

fn absent(premises: &Premises, name: &str) -> ManageError {
    if is_shadowed(premises, name) {
        return ManageError::group_in_file(name, premises.config.as_deref());
    }
    if let Some(error) = super::no_directory(premises) {
        return error;
    }
    StoreError::NoSuchGroup(name.to_owned()).into()
}

fn is_empty(share: &ShareArgs) -> bool {
    let ShareArgs { forwards, max_sessions, max_connections, max_flows, bandwidth } = share;
    forwards.is_none()
        && max_sessions.is_none()
        && max_connections.is_none()
        && max_flows.is_none()
        && bandwidth.is_none()
}

fn apply(share: &ShareArgs, group: &mut GroupSettings) {
    if let Some(rules) = &share.forwards {
        group.forwards.clone_from(&rules.0);
    }
    let limits = &mut group.limits;
    limits.max_sessions = share.max_sessions.map_or(limits.max_sessions, |bound| bound.0);
    limits.max_connections = share.max_connections.map_or(limits.max_connections, |bound| bound.0);
    limits.max_flows = share.max_flows.map_or(limits.max_flows, |bound| bound.0);
    limits.bandwidth = share.bandwidth.map_or(limits.bandwidth, |bound| bound.0);
}

/// What to type on a client.
fn client_command(premises: &Premises, group: &str, place: &Place) -> String {
    let file = match place {
        Place::File(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy(),
        Place::Screen | Place::Output => "FILE".into(),
    };
    let stored = Store::open(premises.data_dir.path(), Access::Read).ok().flatten();
    let pin = super::tokens::voucher(premises, stored.as_ref()).ok().and_then(Voucher::pin);
    let at = address(premises, stored.as_ref());
    let mut text = format!(
        "\nNext, on a client, with the secret in {file}:\n  \
         anyproxy client --gateway {at} --group {group} --secret-file {file}"
    );
    if let Some(pin) = pin {
        // Writing to a string cannot fail.
        let _always = write!(text, " \\\n    --pin {pin}");
    }
    text
}

/// Where clients reach the gateway, as far as it or its file says.
fn address(premises: &Premises, stored: Option<&Store>) -> String {
    let told = || stored?.advertised().ok().flatten();
    let told = premises.advertise.as_ref().map(ToString::to_string).or_else(told);
    told.unwrap_or_else(|| match premises.tunnel_port {
        0 => "HOST:PORT".into(),
        port => format!("HOST:{port}"),
    })
}

fn another_secret(premises: &Premises, name: &str) -> String {
    command(premises, &format!("secret {name}"))
}

/// The command line of another `group` command for the same gateway.
fn command(premises: &Premises, rest: &str) -> String {
    let flag = |name: &str, path: &Path| format!("anyproxy group {rest} {name} {}", path.display());
    match &premises.config {
        Some(config) => flag("--config", config),
        None => flag("--data-dir", premises.data_dir.path()),
    }
}
