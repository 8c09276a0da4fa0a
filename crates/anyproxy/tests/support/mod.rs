//! A directory as a person would have it: `certs/` with what configurations name, and `configs/`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyproxy::{certs, certs::Authority, cli::CertsArgs};
use tempfile::TempDir;

/// The generated secret of group `demo` in every place.
pub(crate) const SECRET: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
/// A password that a person chose.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(TempDir::new().unwrap());
        let dir = place.path("certs");
        place.write("certs/demo.secret", &format!("{SECRET}\n"));
        let args = CertsArgs { dir: dir.clone(), name: vec![], group: vec!["demo".into()] };
        certs::run(&args, &mut Vec::new()).unwrap();
        let other = CertsArgs { dir: place.path("other"), name: vec![], group: vec![] };
        certs::run(&other, &mut Vec::new()).unwrap();
        fs::copy(place.path("other/gateway.key"), dir.join("other.key")).unwrap();
        place.write("certs/user.password", PASSWORD);
        place.write("certs/short.secret", "hunter2-hunter2");
        place.write("certs/tiny.password", "tiny");
        place.write("certs/empty.secret", "\n");
        place.write("certs/expired.crt", &expired(&dir));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a private file.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        path
    }
}

/// A chain for the gateway's key that was issued two years ago.
fn expired(dir: &Path) -> String {
    let then = SystemTime::now() - Duration::from_secs(2 * 365 * 86_400);
    let key = fs::read_to_string(dir.join("gateway.key")).unwrap();
    let key = rcgen::KeyPair::from_pem(&key).unwrap();
    Authority::generate(then).unwrap().issue(&["localhost".into()], &key, then).unwrap()
}
