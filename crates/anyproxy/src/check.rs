//! `anyproxy check`: would a start with this file succeed?
//!
//! A file goes through the very code that a start goes through, so the two cannot disagree; only
//! standard input is not read.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    cli::{CheckArgs, ClientArgs, GatewayArgs, Kind, LogArgs},
    config::{ConfigError, Place, Problem, Source},
    failure::explain,
    settings::{ClientSettings, GatewaySettings, Outside, Process, Warning},
};

/// Keys that only a gateway's file has.
const OF_GATEWAY: [&str; 15] = [
    "listen",
    "advertise",
    "certificate",
    "key",
    "http",
    "https",
    "https_certificate",
    "https_key",
    "socks5",
    "mixed",
    "max_streams",
    "data_dir",
    "ws_socket",
    "trusted_proxies",
    "trusted_header",
];
/// Keys that only a client's file has.
const OF_CLIENT: [&str; 17] = [
    "gateway",
    "ca",
    "extra_ca",
    "proxy",
    "proxy_password_file",
    "ws_host",
    "ws_connections",
    "pin",
    "server_name",
    "client_id",
    "replicas",
    "method",
    "secret",
    "secret_file",
    "client_certificate",
    "client_key",
    "policy",
];

/// Checks each file and writes one line about it, or its error.
///
/// Returns how many files have an error.
///
/// # Errors
///
/// Only those of writing to `out`.
pub fn run(args: &CheckArgs, log: &LogArgs, out: &mut dyn Write) -> io::Result<usize> {
    let mut failed = 0;
    for path in &args.files {
        match check(path, args.kind, log) {
            Ok((kind, warnings)) => {
                let kind = match kind {
                    Kind::Gateway => "gateway",
                    Kind::Client => "client",
                };
                writeln!(out, "{}: ok ({kind})", path.display())?;
                for warning in warnings {
                    writeln!(out, "  warning: {warning}")?;
                }
            }
            Err(error) => {
                failed += 1;
                let text = explain(&error, error.excerpt().as_deref(), error.fix().as_deref());
                writeln!(out, "{text}")?;
            }
        }
    }
    Ok(failed)
}

/// Loads the file as its kind would be loaded at a start.
///
/// # Errors
///
/// What a start would fail with.
pub fn check(
    path: &Path,
    kind: Option<Kind>,
    log: &LogArgs,
) -> Result<(Kind, Vec<Warning>), ConfigError> {
    let kind = match kind {
        Some(kind) => kind,
        None => kind_of(&Source::read(path)?)?,
    };
    let config = Some(path.to_owned());
    let mut outside = DryRun(Process);
    let warnings = match kind {
        Kind::Gateway => {
            let args = GatewayArgs { config, ..GatewayArgs::default() };
            GatewaySettings::load(&args, log, &mut outside)?.warnings
        }
        Kind::Client => {
            let args = ClientArgs { config, ..ClientArgs::default() };
            ClientSettings::load(&args, log, &mut outside)?.warnings
        }
    };
    Ok((kind, warnings))
}

/// Sees from the keys whose file it is.
///
/// # Errors
///
/// When it cannot be read, or the keys do not tell.
pub(crate) fn kind_of(source: &Source) -> Result<Kind, ConfigError> {
    let table: toml::Table = source.parse()?;
    let count = |keys: &[&str]| keys.iter().filter(|key| table.contains_key(**key)).count();
    // `group` is a list of tables in a gateway's file and a name in a client's.
    let groups = usize::from(table.get("group").is_some_and(toml::Value::is_array));
    let forwards = usize::from(table.contains_key("forward"));
    let gateway = count(&OF_GATEWAY) + groups;
    let client = count(&OF_CLIENT) + forwards;
    match gateway.cmp(&client) {
        std::cmp::Ordering::Greater => Ok(Kind::Gateway),
        std::cmp::Ordering::Less => Ok(Kind::Client),
        std::cmp::Ordering::Equal => Err(ConfigError::new(
            Place::File(source.path().into()),
            Problem::Missing {
                what: "its keys do not tell whether it is for a gateway or a client",
                fix: "add --kind gateway or --kind client",
            },
        )),
    }
}

/// The process's environment, but a made-up secret instead of standard input.
struct DryRun(Process);

impl Outside for DryRun {
    fn secret_variable(&self) -> Option<Vec<u8>> {
        self.0.secret_variable()
    }

    fn standard_input(&mut self) -> io::Result<Vec<u8>> {
        Ok(b"a secret that standard input would hold".to_vec())
    }

    fn host_name(&self) -> Option<String> {
        self.0.host_name()
    }

    fn proxy_variable(&self, name: &str) -> Option<Vec<u8>> {
        self.0.proxy_variable(name)
    }
}
