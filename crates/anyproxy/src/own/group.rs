//! The first group of a gateway that has none.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyproxy_wire::handshake::Secret;

use super::OwnError;
use crate::{
    groups::{Credential, GroupLimits, GroupSettings, UserSettings},
    password::generate_secret,
    store::Store,
    values::ForwardRule,
};

/// Its name, and its proxy user's.
pub(super) const NAME: &str = "default";

/// Ports that its clients may have: those that need no privilege, where only this machine reaches them. Not at `[::1]`:
/// many services are at 127.0.0.1 alone, and whoever had `[::1]` beside it would pass for them.
const PORTS: [&str; 2] = ["127.0.0.1:0", "127.0.0.1:1024-65535"];

/// Where the password of its proxy user is.
pub(super) fn password_file(directory: &Path) -> PathBuf {
    directory.join(format!("{NAME}.password"))
}

/// Makes the group, unless there is one or this gateway has started before. Nobody knows its clients' secret: they
/// join with tokens.
pub(super) fn make(directory: &Path) -> Result<(), OwnError> {
    let mut store = Store::create(directory)?;
    if store.advertised()?.is_some() || !store.groups()?.is_empty() {
        return Ok(());
    }
    let password = generate_secret()?;
    let path = password_file(directory);
    write_private(&path, &password).map_err(|cause| OwnError::Write { path, cause })?;
    let forwards = PORTS.iter().map(|rule| rule.parse::<ForwardRule>());
    store.add(&GroupSettings {
        name: NAME.into(),
        tunnel: Credential::of(&Secret::new(generate_secret()?.as_bytes())),
        client_ca: None,
        users: vec![UserSettings {
            name: NAME.into(),
            password: Credential::of(&Secret::new(password.as_bytes())),
        }],
        forwards: forwards.collect::<Result<_, _>>()?,
        limits: GroupLimits::default(),
    })?;
    Ok(())
}

/// In place of one that an attempt left behind whose group never came to be.
fn write_private(path: &Path, secret: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: File| {
        file.write_all(secret.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    options.open(path).and_then(write)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_first_group_is_made_once() {
        let dir = TempDir::new().unwrap();
        make(dir.path()).unwrap();
        let password = std::fs::read_to_string(password_file(dir.path())).unwrap();
        assert_eq!(password.trim_end().len(), 43);
        let mut store = Store::create(dir.path()).unwrap();
        let groups = store.groups().unwrap();
        let kept = Credential::of(&Secret::new(password.trim_end()));
        assert!(groups.len() == 1 && groups[0].name == NAME && groups[0].users[0].password == kept);
        assert!(groups[0].tunnel != kept);
        let all_at_loopback = groups[0]
            .forwards
            .iter()
            .all(|rule| rule.address.is_some_and(|address| address.to_string() == "127.0.0.1"));
        assert!(all_at_loopback, "{:?}", groups[0].forwards);
        make(dir.path()).unwrap();
        assert_eq!(store.groups().unwrap(), groups);
        // Who removes it does not want it back.
        store.advertise("localhost:1").unwrap();
        store.remove(NAME).unwrap();
        make(dir.path()).unwrap();
        assert_eq!(store.groups().unwrap(), []);
    }

    #[cfg(unix)]
    #[test]
    fn the_password_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::new().unwrap();
        make(dir.path()).unwrap();
        let mode = std::fs::metadata(password_file(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
