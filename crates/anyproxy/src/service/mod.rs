//! `anyproxy service`: the units of systemd for a gateway or a client.
//!
//! ```text
//! flags ─▶ place (paths) ─▶ basis (file, or what a start without one left) ─▶ units ─▶ plan ─▶ shown or carried out
//! ```
//!
//! The units are those of `configs/systemd`, built in. Install fills in the path of this program, the addresses of the
//! gateway (the sockets must have the very same, docs/restart.md), and the files that the client's configuration
//! names. Nothing is started without a configuration that would start, or what a start without one has made.

mod basis;
mod error;
mod place;
mod plan;
mod status;
mod take;
mod units;

use std::{fs, io::Write};

use self::{basis::Basis, place::Place, plan::Plan};
use crate::cli::{Kind, ServiceArgs, ServiceCommand};

pub use error::ServiceError;

/// Does what the command line asks for.
///
/// # Errors
///
/// See [`ServiceError`].
pub(crate) fn run(args: &ServiceArgs, out: &mut dyn Write) -> Result<(), ServiceError> {
    let (flags, dry_run) = match &args.command {
        ServiceCommand::Install(args) => (&args.service, args.dry_run),
        ServiceCommand::Uninstall(args) => (&args.service, args.dry_run),
        ServiceCommand::Status(flags) => (flags, false),
    };
    let place = Place::of(flags)?;
    if place.is_live() && !dry_run {
        place::require_systemd()?;
    }
    let plan = match &args.command {
        ServiceCommand::Status(_) => return status::show(&place, out),
        ServiceCommand::Install(args) => install(&place, &Basis::of(&place, &args.own)?)?,
        ServiceCommand::Uninstall(_) => uninstall(&place),
    };
    if dry_run {
        return plan.show(out);
    }
    plan.carry_out(out)
}

fn install(place: &Place, basis: &Basis) -> Result<Plan, ServiceError> {
    let mut plan = Plan::default();
    let units = units::of(place, basis)?;
    // What runs from other units, or at other addresses, has to end before what is new can start.
    let changed = |unit: &units::Unit| {
        fs::read_to_string(&unit.path).is_ok_and(|installed| installed != unit.text)
    };
    if place.is_live() && units.iter().any(changed) {
        plan.run(place.systemctl(&[&["stop"], place.units()].concat()));
    }
    for unit in units {
        plan.write(unit.path, unit.text);
    }
    if place.is_live() {
        plan.run(place.systemctl(&["daemon-reload"]));
        if let Some(users) = place.sysusers() {
            plan.run(["systemd-sysusers".into(), users.display().to_string()]);
        }
    }
    basis.take_over(&mut plan);
    if place.is_live() && basis.is_something() {
        if place.config.exists() {
            hand_over(place, &mut plan);
        }
        plan.run(place.systemctl(&[&["enable", "--now"], place.units()].concat()));
    }
    if !basis.is_something() {
        plan.say(nothing_yet(place));
    }
    if place.user {
        plan.say("To run while you are not logged in: loginctl enable-linger".into());
    }
    Ok(plan)
}

/// The gateway's user reads what root wrote, but for the key of the CA, which it does not need.
fn hand_over(place: &Place, plan: &mut Plan) {
    if place.sysusers().is_none() {
        return;
    }
    let found = ["find".into(), place.config_dir(), "!".into(), "-type".into(), "l".into()];
    let but = ["!", "-name", "ca.key", "-exec"].map(str::to_owned);
    let find = [&found[..], &but[..]].concat();
    for change in [["chgrp", "anyproxy"], ["chmod", "g+rX,o="]] {
        let change = change.map(str::to_owned);
        let tail = ["{}".to_owned(), "+".to_owned()];
        plan.run([&find[..], &change[..], &tail[..]].concat());
    }
}

fn nothing_yet(place: &Place) -> String {
    let other = match place.side {
        Kind::Gateway => {
            "for a gateway without a file say where clients reach it, --advertise HOST:PORT"
        }
        Kind::Client => {
            "join first (anyproxy client --join TOKEN) and say where its identity is, --state-dir DIR"
        }
    };
    format!(
        "There is no configuration yet: put it into {}, then run this again; or {other}",
        place.config.display()
    )
}

fn uninstall(place: &Place) -> Plan {
    let mut plan = Plan::default();
    let paths = place.paths();
    if place.is_live() && paths.iter().any(|path| path.exists()) {
        plan.run(place.systemctl(&[&["disable", "--now"], place.units()].concat()));
    }
    paths.into_iter().for_each(|path| plan.remove(path));
    if place.is_live() {
        plan.run(place.systemctl(&["daemon-reload"]));
    }
    let mut kept = place.kept();
    if place.is_live() && place.sysusers().is_some() {
        kept.push("the user anyproxy".into());
    }
    match kept.as_slice() {
        [] => {}
        [one] => plan.say(format!("{one} stays")),
        several => plan.say(format!("{} stay", several.join(", "))),
    }
    plan
}

#[cfg(test)]
mod tests;
