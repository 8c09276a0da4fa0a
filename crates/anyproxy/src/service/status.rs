//! `anyproxy service status`.

use std::{fs, io::Write, process::Command};

use super::{Basis, Place, ServiceError, place, units};
use crate::cli::{Kind, OwnServiceArgs};

/// Says for each file whether it is as install would write it, and for each unit whether it runs.
pub(super) fn show(place: &Place, out: &mut dyn Write) -> Result<(), ServiceError> {
    // A configuration that will not do is said here too: install would refuse it.
    let basis = Basis::of(place, &OwnServiceArgs::default())?;
    let mut installed = false;
    for unit in units::of(place, &basis)? {
        let state = match fs::read_to_string(&unit.path) {
            Ok(text) if text == unit.text => "installed",
            Ok(_) => "installed, but not as `install` would write it now (run it again)",
            Err(_) => "not installed",
        };
        installed |= unit.path.exists();
        writeln!(out, "{}: {state}", unit.path.display()).map_err(ServiceError::Output)?;
    }
    let config = if place.config.exists() { "there" } else { "missing" };
    writeln!(out, "{}: {config}", place.config.display()).map_err(ServiceError::Output)?;
    let own = match &basis {
        Basis::Own(own) => Some(&own.directory),
        Basis::Joined(joined) => Some(&joined.directory),
        Basis::Nothing | Basis::File => None,
    };
    if let Some(directory) = own {
        writeln!(out, "{}: it runs from what is here", directory.display())
            .map_err(ServiceError::Output)?;
    }
    if !installed {
        return Err(ServiceError::NotInstalled(match place.side {
            Kind::Gateway => "gateway",
            Kind::Client => "client",
        }));
    }
    if !place.is_live() {
        return Ok(());
    }
    place::require_systemd()?;
    for name in place.units() {
        let (enabled, active) = (ask(place, "is-enabled", name)?, ask(place, "is-active", name)?);
        writeln!(out, "{name}: {enabled}, {active}").map_err(ServiceError::Output)?;
    }
    Ok(())
}

/// What systemctl says; its exit code only says the same.
fn ask(place: &Place, question: &str, unit: &str) -> Result<String, ServiceError> {
    let line = place.systemctl(&[question, unit]);
    let failed = |why| ServiceError::Command { line: line.join(" "), why };
    let (program, words) = line.split_first().ok_or_else(|| failed("no command".into()))?;
    let output = Command::new(program).args(words).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(if said.is_empty() { "unknown".into() } else { said })
}
