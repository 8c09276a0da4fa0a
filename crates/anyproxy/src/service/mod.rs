//! `anyproxy service`: the units of systemd for a gateway or a client.
//!
//! ```text
//! flags ─▶ place (paths) ─▶ units (texts, filled in) ─▶ plan (steps) ─▶ shown (--dry-run) or carried out
//! ```
//!
//! The units are those of `configs/systemd`, built in. Install fills in the path of this program, the addresses of the
//! gateway's configuration (the sockets must have the very same, docs/restart.md), and the files that the client's
//! names. Nothing is started without a configuration that would start.

mod error;
mod place;
mod plan;
mod status;
mod units;

use std::io::Write;

use self::{place::Place, plan::Plan};
use crate::cli::{Kind, ServiceArgs, ServiceCommand};

pub use error::ServiceError;

/// Does what the command line asks for.
///
/// # Errors
///
/// See [`ServiceError`].
pub(crate) fn run(args: &ServiceArgs, out: &mut dyn Write) -> Result<(), ServiceError> {
    let (ServiceCommand::Install(flags)
    | ServiceCommand::Uninstall(flags)
    | ServiceCommand::Status(flags)) = &args.command;
    let place = Place::of(flags)?;
    if place.is_live() && !flags.dry_run {
        place::require_systemd()?;
    }
    let plan = match &args.command {
        ServiceCommand::Status(_) => return status::show(&place, out),
        ServiceCommand::Install(_) => install(&place)?,
        ServiceCommand::Uninstall(_) => uninstall(&place),
    };
    if flags.dry_run {
        return plan.show(out);
    }
    plan.carry_out(out)
}

fn install(place: &Place) -> Result<Plan, ServiceError> {
    let mut plan = Plan::default();
    for unit in units::of(place)? {
        plan.write(unit.path, unit.text);
    }
    let has_config = place.config.exists();
    if place.is_live() {
        plan.run(place.systemctl(&["daemon-reload"]));
        if let Some(users) = place.sysusers() {
            plan.run(["systemd-sysusers".into(), users.display().to_string()]);
        }
        if has_config {
            let dir = place.config_dir();
            // The gateway's user reads what root wrote, but for the key of the CA, which it does not need.
            if place.sysusers().is_some() {
                let found = ["find".into(), dir, "!".into(), "-type".into(), "l".into()];
                let but = ["!", "-name", "ca.key", "-exec"].map(str::to_owned);
                let find = [&found[..], &but[..]].concat();
                for change in [["chgrp", "anyproxy"], ["chmod", "g+rX,o="]] {
                    let change = change.map(str::to_owned);
                    let tail = ["{}".to_owned(), "+".to_owned()];
                    plan.run([&find[..], &change[..], &tail[..]].concat());
                }
            }
            plan.run(place.systemctl(&[&["enable", "--now"], place.units()].concat()));
        }
    }
    if !has_config {
        plan.say(format!(
            "There is no configuration yet: put it into {}, then run this again",
            place.config.display()
        ));
    }
    if place.user {
        plan.say("To run while you are not logged in: loginctl enable-linger".into());
    }
    Ok(plan)
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
    let data = match (place.side, place.user) {
        (Kind::Gateway, false) => ", /var/lib/anyproxy and the user anyproxy",
        (Kind::Gateway, true) | (Kind::Client, _) => "",
    };
    plan.say(format!("{}{data} stay", place.config_dir()));
    plan
}

#[cfg(test)]
mod tests;
