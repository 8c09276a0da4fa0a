//! The directory in which keys, certificates and secrets live.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rcgen::{KeyPair, PublicKeyData as _};
use zeroize::Zeroizing;

use super::{Authority, CertsError, authority::new_key, inspect};
use crate::password::generate_secret;

/// What was done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was not there, and is now.
    Created,
    /// It was there, and was not touched.
    Kept,
    /// It was there, and was replaced.
    Renewed,
}

impl Done {
    /// What to say of a private file.
    #[must_use]
    pub fn of_private(self) -> &'static str {
        match self {
            Self::Created => "created (private, mode 0600)",
            Self::Kept => "kept",
            Self::Renewed => "renewed",
        }
    }

    /// What to say of the certificate `pem`.
    #[must_use]
    pub fn with_date(self, pem: &str) -> String {
        let word = match self {
            Self::Created => "created",
            Self::Kept => "kept",
            Self::Renewed => "renewed",
        };
        match inspect::expiry(pem.as_bytes()) {
            Some(expiry) => format!("{word}, valid until {expiry},"),
            None => word.to_owned(),
        }
        .trim_end_matches(',')
        .to_owned()
    }
}

/// The directory in which keys, certificates and secrets live.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Makes the directory unless it is there.
    ///
    /// # Errors
    ///
    /// [`CertsError::Write`].
    pub fn create(path: &Path) -> Result<Self, CertsError> {
        fs::create_dir_all(path).map_err(|cause| CertsError::Write { path: path.into(), cause })?;
        Ok(Self(path.into()))
    }

    /// The path of the file `name` in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The CA, made now unless it is there.
    ///
    /// # Errors
    ///
    /// [`CertsError::Half`] when only its key or its certificate is there,
    /// [`CertsError::Unusable`] when they are not what they should be.
    pub fn authority(&self, now: SystemTime) -> Result<(Authority, Done), CertsError> {
        let (certificate, key) = (self.path("ca.crt"), self.path("ca.key"));
        self.finish_authority(&certificate, &key)?;
        match (self.read(&certificate)?, self.read(&key)?) {
            (None, None) => {
                let authority = Authority::generate(now)?;
                // The key last, and whole before there is a certificate: a start that is killed at any point is
                // finished by the next one.
                write_new(&key, authority.key_pem().as_bytes())?;
                self.replace(&certificate, authority.certificate_pem())?;
                publish(&key)?;
                Ok((authority, Done::Created))
            }
            (Some(certificate_pem), Some(key_pem)) => {
                let unusable = |what: &str| CertsError::Unusable {
                    path: certificate.clone(),
                    what: what.into(),
                };
                let authority = Authority::from_pem(&certificate_pem, &key_pem)
                    .ok_or_else(|| unusable("it is no CA certificate for ca.key"))?;
                match inspect::expiry(certificate_pem.as_bytes()) {
                    Some(expiry) if !expiry.is_over() => Ok((authority, Done::Kept)),
                    Some(_) | None => Err(unusable("the CA has expired")),
                }
            }
            (Some(_), None) => Err(CertsError::Half { present: certificate, missing: key }),
            (None, Some(_)) => Err(CertsError::Half { present: key, missing: certificate }),
        }
    }

    /// Puts the key beside its certificate, if an attempt to make both was killed in between.
    fn finish_authority(&self, certificate: &Path, key: &Path) -> Result<(), CertsError> {
        if key.exists() {
            return Ok(());
        }
        let (Some(certificate), Some(left)) = (self.read(certificate)?, self.read(&new(key))?)
        else {
            return Ok(());
        };
        match Authority::from_pem(&certificate, &left) {
            Some(_) => publish(key),
            None => Ok(()),
        }
    }

    /// The gateway's key, made now unless it is there.
    ///
    /// # Errors
    ///
    /// [`CertsError::Unusable`] when what is there is no key.
    pub fn key(&self) -> Result<(KeyPair, Done), CertsError> {
        let path = self.path("gateway.key");
        if let Some(pem) = self.read(&path)? {
            let key = KeyPair::from_pem(&pem).map_err(|error| CertsError::Unusable {
                path: path.clone(),
                what: error.to_string(),
            })?;
            return Ok((key, Done::Kept));
        }
        let key = new_key()?;
        self.create_private(&path, Zeroizing::new(key.serialize_pem()).as_bytes())?;
        Ok((key, Done::Created))
    }

    /// The names that the gateway's certificate carries, if there is one.
    #[must_use]
    pub fn names(&self) -> Option<Vec<String>> {
        inspect::names(&fs::read(self.path("gateway.crt")).ok()?)
    }

    /// Whether the gateway's certificate is one for `key`.
    #[must_use]
    pub(crate) fn certifies(&self, key: &KeyPair) -> bool {
        let pem = fs::read(self.path("gateway.crt")).unwrap_or_default();
        inspect::public_key(&pem).is_some_and(|found| found == key.subject_public_key_info())
    }

    /// Replaces the gateway's certificate, at once: who reads it sees the old or the new one.
    ///
    /// # Errors
    ///
    /// [`CertsError::Write`].
    pub fn renew(&self, chain: &str) -> Result<Done, CertsError> {
        let path = self.path("gateway.crt");
        let done = if path.exists() { Done::Renewed } else { Done::Created };
        self.replace(&path, chain)?;
        Ok(done)
    }

    /// Generates the secret of a group unless there is one.
    ///
    /// # Errors
    ///
    /// [`CertsError::Write`], [`CertsError::Random`].
    pub fn secret(&self, group: &str) -> Result<Done, CertsError> {
        let path = self.path(&format!("{group}.secret"));
        if path.exists() {
            return Ok(Done::Kept);
        }
        let mut line = generate_secret()?;
        line.push('\n');
        self.create_private(&path, line.as_bytes())?;
        Ok(Done::Created)
    }

    fn read(&self, path: &Path) -> Result<Option<Zeroizing<String>>, CertsError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(CertsError::Read { path: path.into(), cause }),
        }
    }

    /// Writes a private file that must not be there yet, and that is there whole or not at all.
    fn create_private(&self, path: &Path, bytes: &[u8]) -> Result<(), CertsError> {
        write_new(path, bytes).and_then(|()| publish(path))
    }

    fn replace(&self, path: &Path, text: &str) -> Result<(), CertsError> {
        let new = path.with_extension("crt.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, path))
            .map_err(|cause| CertsError::Write { path: path.into(), cause })
    }
}

/// Where a private file is until it is whole.
fn new(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Writes a private file beside its place, which nobody else may read even while it is written.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CertsError> {
    let new = new(path);
    let failed = |cause| CertsError::Write { path: path.into(), cause };
    // What an attempt left that was killed may be half of it.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = |mut file: File| file.write_all(bytes).and_then(|()| file.sync_all());
    options.open(&new).and_then(write).map_err(failed)
}

/// Gives what was written its name, unless something has that.
fn publish(path: &Path) -> Result<(), CertsError> {
    name_unless_taken(&new(path), path)
        .map_err(|cause| CertsError::Write { path: path.into(), cause })
}

/// Gives `new` the name `path`, unless something has that; then `new` is removed.
pub(crate) fn name_unless_taken(new: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(new, path) {
        Ok(()) => fs::remove_file(new),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let _left = fs::remove_file(new);
            Err(error)
        }
        // Not every file system has links.
        Err(_) if !path.exists() => fs::rename(new, path),
        Err(error) => Err(error),
    }
}
