//! `anyproxy service status`.

use std::{fs, io::Write, process::Command};

use super::{Place, ServiceError, place, units};

/// Says for each file whether it is as install would write it, and for each unit whether it runs.
pub(super) fn show(place: &Place, out: &mut dyn Write) -> Result<(), ServiceError> {
    // A configuration that will not do is said here too: install would refuse it.
    for unit in units::of(place)? {
        let state = match fs::read_to_string(&unit.path) {
            Ok(text) if text == unit.text => "installed",
            Ok(_) => "installed, but not as `install` would write it now (run it again)",
            Err(_) => "not installed",
        };
        writeln!(out, "{}: {state}", unit.path.display()).map_err(ServiceError::Output)?;
    }
    let config = if place.config.exists() { "there" } else { "missing" };
    writeln!(out, "{}: {config}", place.config.display()).map_err(ServiceError::Output)?;
    if !place.is_live() {
        return Ok(());
    }
    // With --dry-run nothing has asked whether there is one.
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
