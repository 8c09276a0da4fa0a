//! `anyproxy certs --show`: what is there, by which a pin can be compared without a certificate being renewed.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{CertsError, inspect};
use crate::{cli::CertsArgs, own::places};

/// The directory that is meant when none is named.
const DEFAULT: &str = "certs";

/// Says what the certificates in the directory are; if none is named, those of a gateway without a file too.
///
/// # Errors
///
/// [`CertsError::Nothing`] when there are none, [`CertsError::Read`], [`CertsError::Output`].
pub(super) fn run(args: &CertsArgs, out: &mut dyn Write) -> Result<(), CertsError> {
    let own = (args.dir == Path::new(DEFAULT)).then(places::gateway).flatten();
    let directories: Vec<_> = [Some(args.dir.clone()), own].into_iter().flatten().collect();
    let mut shown = false;
    for directory in &directories {
        shown |= one(directory, out)?;
    }
    if shown { Ok(()) } else { Err(CertsError::Nothing(directories)) }
}

/// Whether there was something to show.
fn one(directory: &Path, out: &mut dyn Write) -> Result<bool, CertsError> {
    let (chain, authority) = (directory.join("gateway.crt"), directory.join("ca.crt"));
    let [of_chain, of_authority] = [read(&chain)?, read(&authority)?];
    for (path, pem) in [(&authority, &of_authority), (&chain, &of_chain)] {
        let Some(pem) = pem else { continue };
        let until = inspect::expiry(pem).map(|date| format!("valid until {date}"));
        let names = inspect::names(pem).filter(|names| !names.is_empty());
        let names = names.map(|names| format!(" for {}", names.join(", "))).unwrap_or_default();
        let what = until.unwrap_or_else(|| "no certificate".into());
        super::say(out, path, &format!("{what}{names}"))?;
    }
    // What the gateway shows counts.
    let pin = of_chain.as_deref().and_then(inspect::authority_pin);
    let pin = pin.or_else(|| of_authority.as_deref().and_then(inspect::pin));
    if let Some(pin) = pin {
        writeln!(out, "pin {pin}").map_err(CertsError::Output)?;
    }
    Ok(of_chain.is_some() || of_authority.is_some())
}

fn read(path: &PathBuf) -> Result<Option<Vec<u8>>, CertsError> {
    match fs::read(path) {
        Ok(pem) => Ok(Some(pem)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(CertsError::Read { path: path.clone(), cause }),
    }
}
