//! What a client keeps since it joined: its key, and where its gateway is.
//!
//! ```text
//! state directory (0700) ─┬─ identity.json          (0600) enrolled
//!                         └─ identity.pending.json  (0600) the token was not answered yet
//! ```
//!
//! The key is kept before the gateway hears of it. If its answer is lost, the same key is tried again with
//! the same token, which the gateway takes for what it is.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyproxy_transport::tls::Pin;
use anyproxy_wire::{handshake::Secret, join_token::JoinToken};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::JoinError;
use crate::{store::create_directory, values::HostPort};

/// The file in which a client that joined keeps who it is.
pub(crate) const ENROLLED: &str = "identity.json";
const PENDING: &str = "identity.pending.json";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 * 1024;

/// Who a client is since it joined.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The gateway.
    pub gateway: HostPort,
    /// What its CA is known by; `None`: the system's roots vouch for it.
    pub pin: Option<Pin>,
    /// The group.
    pub group: String,
    /// The client's id in it.
    pub client_id: String,
    /// The seed of the client's key.
    pub seed: Secret,
    /// The token with which it joined.
    pub(super) token: [u8; 8],
}

/// The file. Whoever takes the key out of it sees to it that it is wiped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    gateway: String,
    pin: Option<String>,
    group: String,
    client_id: String,
    token: String,
    key: String,
}

impl Identity {
    /// Of a client that is about to use `token`.
    pub(super) fn new(
        token: &JoinToken,
        gateway: HostPort,
        client_id: String,
        seed: Secret,
    ) -> Self {
        let (pin, group) = (token.pin.map(Pin::from_bytes), token.group.clone());
        Self { gateway, pin, group, client_id, seed, token: token.id }
    }

    fn parse(text: &str) -> Option<Self> {
        let kept: Kept = serde_json::from_str(text).ok().filter(|kept: &Kept| kept.version == 1)?;
        let key = Zeroizing::new(kept.key);
        let seed = Zeroizing::new(URL_SAFE_NO_PAD.decode(key.as_bytes()).ok()?);
        let seed =
            <&[u8; 32]>::try_from(seed.as_slice()).ok().map(|seed| Secret::new(&seed[..]))?;
        let pin = match kept.pin {
            Some(pin) => Some(pin.parse().ok()?),
            None => None,
        };
        Some(Self {
            gateway: kept.gateway.parse().ok()?,
            pin,
            group: crate::values::group_name(&kept.group).ok()?,
            client_id: crate::values::client_id(&kept.client_id).ok()?,
            token: URL_SAFE_NO_PAD.decode(kept.token).ok()?.try_into().ok()?,
            seed,
        })
    }

    fn to_text(&self) -> serde_json::Result<Zeroizing<String>> {
        let kept = Kept {
            version: 1,
            gateway: self.gateway.to_string(),
            pin: self.pin.map(|pin| pin.to_string()),
            group: self.group.clone(),
            client_id: self.client_id.clone(),
            token: URL_SAFE_NO_PAD.encode(self.token),
            key: URL_SAFE_NO_PAD.encode(self.seed.expose()),
        };
        let text = serde_json::to_string_pretty(&kept).map(Zeroizing::new);
        drop(Zeroizing::new(kept.key));
        text
    }
}

/// The directory in which a client keeps who it is.
#[derive(Debug, Clone)]
pub(super) struct StateDir(pub(super) PathBuf);

impl StateDir {
    /// The file with which a client logs in.
    pub(super) fn enrolled(&self) -> PathBuf {
        self.0.join(ENROLLED)
    }

    /// Who this client is, if it has joined.
    pub(super) fn read(&self) -> Result<Option<Identity>, JoinError> {
        read(&self.enrolled())
    }

    /// Who it is about to be.
    pub(super) fn read_pending(&self) -> Result<Option<Identity>, JoinError> {
        read(&self.0.join(PENDING))
    }

    /// Keeps who it is about to be.
    pub(super) fn write_pending(&self, identity: &Identity) -> Result<(), JoinError> {
        let failed = |cause| JoinError::Write { path: self.0.join(PENDING), cause };
        let text = identity.to_text().map_err(|error| failed(error.into()))?;
        create_directory(&self.0)?;
        let path = self.0.join(PENDING);
        let new = path.with_extension("new");
        // What an earlier attempt left may have another mode.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let write = |mut file: File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        options
            .open(&new)
            .and_then(write)
            .and_then(|()| fs::rename(&new, &path))
            .map_err(failed)?;
        sync(&self.0).map_err(failed)
    }

    /// It has joined.
    pub(super) fn keep(&self) -> Result<(), JoinError> {
        let path = self.enrolled();
        fs::rename(self.0.join(PENDING), &path)
            .and_then(|()| sync(&self.0))
            .map_err(|cause| JoinError::Write { path, cause })
    }
}

/// Makes a renaming outlive a power cut.
fn sync(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn read(path: &Path) -> Result<Option<Identity>, JoinError> {
    let text = match crate::config::read_text(path, LARGEST) {
        Ok(text) => Zeroizing::new(text),
        Err(crate::config::Problem::Unreadable { cause, .. })
            if cause.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(None);
        }
        Err(problem) => return Err(JoinError::Input(problem)),
    };
    // Who could read the key could be this client.
    if let Some(mode) = crate::config::open_mode(path) {
        return Err(JoinError::Open { path: path.into(), mode });
    }
    Identity::parse(&text).map(Some).ok_or_else(|| JoinError::Damaged(path.into()))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn identity() -> Identity {
        Identity {
            gateway: "gw.example.com:8443".parse().unwrap(),
            pin: Some(Pin::from_bytes([1; 32])),
            group: "home".into(),
            client_id: "büro \"1\"".into(),
            seed: Secret::new([7; 32]),
            token: [9; 8],
        }
    }

    fn same(a: &Identity, b: &Identity) -> bool {
        let parts = |it: &Identity| (it.gateway.clone(), it.pin, it.group.clone(), it.token);
        parts(a) == parts(b) && a.client_id == b.client_id && a.seed == b.seed
    }

    #[test]
    fn it_survives_its_file_and_pending_is_not_enrolled() {
        let dir = TempDir::new().unwrap();
        let state = StateDir(dir.path().join("a/b"));
        assert!(state.read().unwrap().is_none());
        for mine in [identity(), Identity { pin: None, ..identity() }] {
            state.write_pending(&mine).unwrap();
            assert!(same(&state.read_pending().unwrap().unwrap(), &mine));
            state.keep().unwrap();
            assert!(same(&state.read().unwrap().unwrap(), &mine));
            assert!(state.read_pending().unwrap().is_none());
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it_and_what_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::new().unwrap();
        let state = StateDir(dir.path().join("state"));
        state.write_pending(&identity()).unwrap();
        state.keep().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state.0), mode(&state.enrolled())), (0o700, 0o600));
        fs::set_permissions(state.enrolled(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = state.read().unwrap_err();
        assert!(error.fix().unwrap().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_named_and_the_key_is_not_shown() {
        let dir = TempDir::new().unwrap();
        let state = StateDir(dir.path().to_owned());
        let text = identity().to_text().unwrap();
        for bad in [
            "",
            "{}",
            &text.replace("\"version\": 1", "\"version\": 2"),
            &text.replace("gw.example.com:8443", "gw"),
            &text.replace("sha256:01", "sha256:"),
            &text.replace("BwcHBwcH", ""),
        ] {
            fs::write(state.enrolled(), bad).unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let private = fs::Permissions::from_mode(0o600);
                fs::set_permissions(state.enrolled(), private).unwrap();
            }
            let error = state.read().unwrap_err();
            assert!(matches!(error, JoinError::Damaged(_)), "{error}");
            assert!(error.to_string().contains("identity.json"));
        }
        assert!(!format!("{:?}", identity()).contains("7, 7"));
    }
}
