//! The gateway's own CA and certificate in its data directory.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    certs::{CertsError, Directory, LOCAL, validity},
    settings::{Outside as _, Process},
    values::{HostPort, server_name},
};

/// The chain that the gateway shows.
pub(super) const CERTIFICATE: &str = "gateway.crt";
/// Its key.
pub(super) const KEY: &str = "gateway.key";

/// How long a certificate lives. Nobody has to see to it, so it is short; after two thirds it is renewed.
const LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// How many names a certificate carries: a gateway whose address changes with every start does not pile them up.
const MOST_NAMES: usize = 16;

/// What the certificate is for: the address that clients are told, and this machine.
pub(super) fn names(advertise: Option<&HostPort>) -> Vec<String> {
    let mut names: Vec<_> = advertise.map(|address| address.host.clone()).into_iter().collect();
    names.extend(LOCAL.map(str::to_owned));
    names.extend(Process.host_name().filter(|name| server_name(name).is_ok()));
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// Makes the CA, the key and the certificate that are not there, and another certificate when two thirds of its
/// time are over, it lacks a name or is for another key. Keys stay, and so do names: clients that joined under an earlier address
/// expect that one.
pub(super) fn make(directory: &Path, names: &[String], now: SystemTime) -> Result<(), CertsError> {
    let files = Directory::create(directory)?;
    let (authority, _) = files.authority(now)?;
    let (key, _) = files.key()?;
    let had = files.names().unwrap_or_default();
    // Another key than that of the certificate: somebody took one of the two away.
    let fits = files.certifies(&key) && names.iter().all(|name| had.contains(name));
    if fits && !is_old(&files.path(CERTIFICATE), now) {
        return Ok(());
    }
    files.renew(&authority.issue_for(&with_earlier(names, had), &key, (now, LIFE))?)?;
    tracing::info!(file = %files.path(CERTIFICATE).display(), "the gateway's certificate was made");
    Ok(())
}

/// The names that are wanted, then the earlier ones, the latest first.
fn with_earlier(names: &[String], had: Vec<String>) -> Vec<String> {
    let earlier = had.into_iter().filter(|name| !names.contains(name) && server_name(name).is_ok());
    names.iter().cloned().chain(earlier).take(MOST_NAMES.max(names.len())).collect()
}

/// Whether two thirds of its time are over, or it cannot be read.
fn is_old(certificate: &Path, now: SystemTime) -> bool {
    let validity = fs::read(certificate).ok().and_then(|pem| validity(&pem));
    let Some((from, until)) = validity else { return true };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    now >= from.saturating_add(until.saturating_sub(from).saturating_mul(2) / 3)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn read(dir: &TempDir) -> [Vec<u8>; 4] {
        ["ca.crt", "ca.key", KEY, CERTIFICATE].map(|name| fs::read(dir.path().join(name)).unwrap())
    }

    #[test]
    fn after_two_thirds_of_its_time_a_certificate_is_renewed_and_every_key_stays() {
        let dir = TempDir::new().unwrap();
        let now = SystemTime::now();
        let names = names(Some(&"gw.example.com:1".parse().unwrap()));
        make(dir.path(), &names, now).unwrap();
        let first = read(&dir);
        for day in [0, 1, 59] {
            make(dir.path(), &names, now + DAY * day).unwrap();
            assert_eq!(read(&dir), first, "day {day}");
        }
        make(dir.path(), &names, now + DAY * 61).unwrap();
        let second = read(&dir);
        assert_eq!(second[..3], first[..3]);
        assert_ne!(second[3], first[3]);
        let (from, until) = validity(&second[3]).unwrap();
        assert_eq!(until - from, 90 * 86_400);
        assert!(until > validity(&first[3]).unwrap().1);
        make(dir.path(), &names, now + DAY * 62).unwrap();
        assert_eq!(read(&dir), second);
    }

    #[test]
    fn a_key_that_was_lost_is_made_anew_with_a_certificate_that_fits() {
        let dir = TempDir::new().unwrap();
        let now = SystemTime::now();
        make(dir.path(), &names(None), now).unwrap();
        let first = read(&dir);
        fs::remove_file(dir.path().join(KEY)).unwrap();
        make(dir.path(), &names(None), now).unwrap();
        let second = read(&dir);
        assert_eq!(second[..2], first[..2]);
        anyproxy_transport::tls::Identity::from_pem(&second[3], &second[2]).unwrap();
        // Nor does it matter when only the key was written the last time.
        fs::write(dir.path().join(CERTIFICATE), &first[3]).unwrap();
        make(dir.path(), &names(None), now).unwrap();
        let third = read(&dir);
        assert_eq!(third[..3], second[..3]);
        anyproxy_transport::tls::Identity::from_pem(&third[3], &third[2]).unwrap();
    }

    #[test]
    fn another_name_is_another_certificate() {
        let dir = TempDir::new().unwrap();
        let now = SystemTime::now();
        make(dir.path(), &names(None), now).unwrap();
        let first = read(&dir);
        make(dir.path(), &names(Some(&"gw.example.com:1".parse().unwrap())), now).unwrap();
        let second = read(&dir);
        assert_eq!(second[..3], first[..3]);
        let has = || Directory::create(dir.path()).unwrap().names().unwrap();
        assert!(has().contains(&"gw.example.com".into()) && has().contains(&"127.0.0.1".into()));
        // Fewer names are no reason.
        make(dir.path(), &names(None), now).unwrap();
        assert_eq!(read(&dir), second);
        // Clients that joined under the earlier name still find it, also after a renewal.
        make(dir.path(), &names(Some(&"192.0.2.1:1".parse().unwrap())), now).unwrap();
        assert!(has().contains(&"gw.example.com".into()) && has().contains(&"192.0.2.1".into()));
        make(dir.path(), &names(None), now + DAY * 61).unwrap();
        assert!(has().contains(&"gw.example.com".into()) && has().contains(&"192.0.2.1".into()));
    }

    #[test]
    fn earlier_names_do_not_pile_up() {
        let dir = TempDir::new().unwrap();
        for number in 1..=20 {
            let address = format!("gw{number}.example.com:1").parse().unwrap();
            make(dir.path(), &names(Some(&address)), SystemTime::now()).unwrap();
        }
        let has = Directory::create(dir.path()).unwrap().names().unwrap();
        assert_eq!(has.len(), MOST_NAMES);
        for (name, expected) in [("gw20", true), ("gw13", true), ("gw1", false)] {
            assert_eq!(has.contains(&format!("{name}.example.com")), expected, "{name}: {has:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::new().unwrap();
        make(dir.path(), &names(None), SystemTime::now()).unwrap();
        for name in ["ca.key", KEY] {
            let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
