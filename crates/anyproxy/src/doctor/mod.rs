//! `anyproxy doctor`: what is wrong here, and what repairs it.
//!
//! ```text
//! settings ─▶ client: environment, resolve, tcp, proxy, tls, websocket, udp, quic, mtu, clock, login, target
//!          └▶ gateway: certificate, permissions, port, exposure, data_dir, clock
//!                      both: udp_buffers, files                          ─▶ Report ─▶ lines or JSON
//! ```
//!
//! Settings are read, and the gateway is dialled, by the code of a start, so that doctor and a start
//! cannot disagree. Nothing is changed, no live session is disturbed, and every wait is bounded.

mod chain;
mod client;
mod gateway;
mod machine;
mod report;
mod surroundings;

use std::io::Write;

use crate::{
    check,
    cli::{ClientArgs, DoctorArgs, DoctorRole, GatewayArgs, Kind, LogArgs},
    config::{ConfigError, Place, Problem, Source},
    failure::{Failure, chain},
    join,
    own::{self, Found, OwnError},
    settings::{ClientSettings, GatewaySettings, Loaded, Process, Warning},
};

pub use client::examine as examine_client;
pub use gateway::examine as examine_gateway;
pub use report::{Finding, Report, Status};
pub use surroundings::Surroundings;

/// Whose settings, from which flags.
enum Patient {
    Gateway(Box<GatewayArgs>),
    Client(Box<ClientArgs>),
}

/// Checks one end and writes what was found to `out`.
///
/// # Errors
///
/// [`Failure::Doctor`] when a check failed; those of writing to `out`.
pub(crate) async fn run(
    args: &DoctorArgs,
    log: &LogArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let here = Surroundings::of_this_machine();
    let json = match &args.role {
        None => args.json,
        Some(DoctorRole::Gateway(of)) => args.json || of.json,
        Some(DoctorRole::Client(of)) => args.json || of.json,
    };
    if args.role.is_none() && args.config.is_none() {
        return Err(nobody().into());
    }
    let report = match patient(args) {
        Ok(Patient::Gateway(args)) => of_gateway(&args, log, &here).await?,
        Ok(Patient::Client(args)) => {
            match ClientSettings::load(&join::joined(&args)?, log, &mut Process) {
                Ok(loaded) => {
                    let warnings = told(&loaded);
                    warnings.joined(examine_client(loaded.settings, &here).await)
                }
                Err(error) => refused("client", &error),
            }
        }
        Err(error) => refused("unknown", &error),
    };
    let text = if json { report.json() } else { report.text() };
    out.write_all(text.as_bytes()).map_err(Failure::Output)?;
    match report.failed() {
        0 => Ok(()),
        failed => Err(Failure::Doctor(failed)),
    }
}

/// A gateway without a file has its settings in what it made. Nothing is made here.
async fn of_gateway(
    args: &GatewayArgs,
    log: &LogArgs,
    here: &Surroundings,
) -> Result<Report, OwnError> {
    let not_yet = |finding: Finding| {
        let mut report = Report::new("gateway");
        report.add(finding);
        report
    };
    let args = match own::find(args) {
        Ok(Found::Told) => args.clone(),
        Ok(Found::Own(args)) => *args,
        Ok(Found::Part(missing)) => {
            let value = format!("{} is missing", missing.display());
            let fix = "start the gateway: it makes that anew, and what clients pinned stays";
            return Ok(not_yet(Finding::fail("settings", value).fix(fix)));
        }
        Ok(Found::Nothing(directory)) => {
            let value = format!(
                "this gateway has not started yet: {} has nothing of it",
                directory.display()
            );
            let fix = "start it: anyproxy gateway --advertise HOST:PORT; or name its file with --config, or its \
                       directory with --data-dir";
            return Ok(not_yet(Finding::warn("settings", value).fix(fix)));
        }
        Err(OwnError::Config(error)) => return Ok(refused("gateway", &error)),
        Err(other) => return Err(other),
    };
    Ok(match GatewaySettings::load(&args, log, &mut Process) {
        Ok(loaded) => {
            let warnings = told(&loaded);
            warnings.joined(examine_gateway(loaded.settings, here).await)
        }
        Err(error) => refused("gateway", &error),
    })
}

fn patient(args: &DoctorArgs) -> Result<Patient, ConfigError> {
    match &args.role {
        Some(DoctorRole::Gateway(of)) => Ok(Patient::Gateway(Box::new(of.gateway.clone()))),
        Some(DoctorRole::Client(of)) => Ok(Patient::Client(Box::new(of.client.clone()))),
        None => {
            let path = args.config.clone().unwrap_or_default();
            let kind = check::kind_of(&Source::read(&path)?)?;
            let config = Some(path);
            Ok(match kind {
                Kind::Gateway => {
                    Patient::Gateway(Box::new(GatewayArgs { config, ..GatewayArgs::default() }))
                }
                Kind::Client => {
                    Patient::Client(Box::new(ClientArgs { config, ..ClientArgs::default() }))
                }
            })
        }
    }
}

/// Nothing says what is to be looked at.
fn nobody() -> ConfigError {
    let problem = Problem::Missing {
        what: "it is not known what to look at",
        fix: "run `anyproxy doctor gateway` or `anyproxy doctor client`, with the flags with which that is started; \
              or name its file with --config",
    };
    ConfigError::new(Place::Start, problem)
}

/// Settings with which nothing can start.
fn refused(role: &'static str, error: &ConfigError) -> Report {
    let mut report = Report::new(role);
    report.add(Finding::fail("settings", chain(error)).fix(error.fix().unwrap_or_default()));
    report
}

/// What the settings themselves tell, of files that others can read above all.
fn told<T>(loaded: &Loaded<T>) -> Report {
    let mut report = Report::new("");
    for warning in &loaded.warnings {
        let check = match warning {
            Warning::OpenFile { .. } | Warning::OpenDirectory { .. } => "permissions",
            Warning::UnusableProxy { .. } => "environment",
            Warning::OpenAdmin { .. } => "listeners",
            Warning::OldList { .. } => "revocation",
            Warning::UnusedSecret | Warning::NeedlessSecret | Warning::ReadablePassword => {
                "settings"
            }
            // It has a line of its own.
            Warning::Expired { .. } => continue,
        };
        let text = warning.to_string();
        let (what, fix) = text.split_once("; ").unwrap_or((&text, ""));
        report.add(Finding::warn(check, what).fix(fix.strip_prefix("run: ").unwrap_or(fix)));
    }
    if loaded.warnings.is_empty() {
        report.add(Finding::ok("settings", "they can be used"));
    }
    report
}
