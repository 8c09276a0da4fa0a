//! `anyproxy certs`: the gateway's own CA, its certificate, and secrets of groups.
//!
//! ```text
//! ca.key ──signs──▶ ca.crt ──signs──▶ gateway.crt (leaf, then CA) ── for ── gateway.key
//!    10 years, its key is what clients pin       397 days, renewed at each run
//! ```
//!
//! A run may be repeated at any time: it keeps every key and secret there is, and renews only the
//! gateway's certificate. Private files are created with mode 0600, never changed afterwards.

mod authority;
mod directory;
mod error;
mod inspect;
mod show;
mod voucher;

use std::{io::Write, path::Path, time::SystemTime};

pub use authority::Authority;
pub(crate) use authority::new_key;
pub(crate) use directory::name_unless_taken;
pub use directory::{Directory, Done};
pub use error::CertsError;
pub use inspect::{Expiry, authority_pin, expiry, expiry_of};
pub(crate) use inspect::{next_update, validity};
pub(crate) use voucher::Voucher;

use crate::{
    cli::{CertsArgs, CertsCommandArgs},
    settings::{Outside, Process},
    values::server_name,
};

/// Names that reach a gateway on its own machine.
pub(crate) const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Shows what is there, or does what [`run`] does.
///
/// # Errors
///
/// See [`CertsError`].
pub(crate) fn show_or_run(args: &CertsCommandArgs, out: &mut dyn Write) -> Result<(), CertsError> {
    if args.show { show::run(&args.make, out) } else { run(&args.make, out) }
}

/// Makes or renews what is in the directory, and says what was done.
///
/// # Errors
///
/// See [`CertsError`]; what was made before the error stays.
pub fn run(args: &CertsArgs, out: &mut dyn Write) -> Result<(), CertsError> {
    let now = SystemTime::now();
    let directory = Directory::create(&args.dir)?;
    let (authority, done) = directory.authority(now)?;
    say(out, &directory.path("ca.crt"), &done.with_date(authority.certificate_pem()))?;
    say(out, &directory.path("ca.key"), done.of_private())?;
    let (key, key_done) = directory.key()?;
    let names = names(args, &directory)?;
    let chain = authority.issue(&names, &key, now)?;
    let done = directory.renew(&chain)?;
    let dated = format!("{} for {}", done.with_date(&chain), names.join(", "));
    say(out, &directory.path("gateway.crt"), &dated)?;
    say(out, &directory.path("gateway.key"), key_done.of_private())?;
    for group in &args.group {
        let done = directory.secret(group)?;
        say(out, &directory.path(&format!("{group}.secret")), done.of_private())?;
    }
    next_steps(out, args, &authority)
}

fn say(out: &mut dyn Write, path: &Path, done: &str) -> Result<(), CertsError> {
    let path = path.display().to_string();
    writeln!(out, "{path:<24} {done}").map_err(CertsError::Output)
}

/// The names that were asked for, or those of the certificate there is, or those of this machine.
fn names(args: &CertsArgs, directory: &Directory) -> Result<Vec<String>, CertsError> {
    for name in &args.name {
        let plain = name.strip_prefix("*.").unwrap_or(name);
        server_name(plain).map_err(|_| CertsError::Name(name.clone()))?;
    }
    if !args.name.is_empty() {
        return Ok(args.name.clone());
    }
    if let Some(names) = directory.names().filter(|names| !names.is_empty()) {
        return Ok(names);
    }
    let mut names = LOCAL.map(str::to_owned).to_vec();
    names.extend(
        Process
            .host_name()
            .filter(|name| !LOCAL.contains(&name.as_str()) && server_name(name).is_ok()),
    );
    Ok(names)
}

fn next_steps(
    out: &mut dyn Write,
    args: &CertsArgs,
    authority: &Authority,
) -> Result<(), CertsError> {
    let group = args.group.first().map_or("NAME", String::as_str);
    let dir = args.dir.display();
    let pin = authority.pin()?;
    writeln!(
        out,
        "\npin {pin}\n\n\
         Next, on the gateway, in its configuration:\n  \
         certificate = \"{dir}/gateway.crt\", key = \"{dir}/gateway.key\" (from the file's directory)\n  \
         [[group]] with name = \"{group}\", secret_file = \"{dir}/{group}.secret\"\n\n\
         On a client, with a copy of {group}.secret:\n  \
         anyproxy client --gateway HOST:8443 --group {group} --secret-file {group}.secret \\\n    \
         --pin {pin}\n\n\
         Keep ca.key to yourself: who has it can pose as the gateway."
    )
    .map_err(CertsError::Output)
}

#[cfg(test)]
mod tests;
