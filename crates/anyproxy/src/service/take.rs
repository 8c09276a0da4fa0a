//! Moving what ran without a service to where its service finds it.
//!
//! Root does this in directories of others. So no link is followed, only regular files are taken, and nothing that is
//! there is replaced. A gateway must not run meanwhile: it would go on writing to files that have no name any more.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::ServiceError;
use crate::{
    certs::name_unless_taken,
    cli::Kind,
    join,
    own::{self, Still},
    store::{self, Access, Store, create_directory, give_to_owner},
};

/// Files to move from one directory to another.
pub(super) struct Take {
    side: Kind,
    from: PathBuf,
    to: PathBuf,
    names: Vec<&'static str>,
}

impl Take {
    /// All that a gateway without a file keeps.
    pub(super) fn gateway(from: &Path, to: &Path) -> Self {
        let is_there = |name: &&str| fs::symlink_metadata(from.join(name)).is_ok();
        let names = own::FILES.into_iter().filter(is_there).collect();
        Self { side: Kind::Gateway, from: from.into(), to: to.into(), names }
    }

    /// The identity of a client.
    pub(super) fn client(from: &Path, to: &Path) -> Self {
        Self { side: Kind::Client, from: from.into(), to: to.into(), names: vec![join::IDENTITY] }
    }

    /// A line for each file.
    pub(super) fn told(&self, verb: &str) -> String {
        let line = |(from, to): (PathBuf, PathBuf)| {
            format!("{verb} {} to {}", from.display(), to.display())
        };
        self.files().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Moves all of them, or none if one is no file or has another in its way.
    pub(super) fn carry_out(&self) -> Result<(), ServiceError> {
        // Also for the whole time of the move.
        let _still = match self.side {
            Kind::Gateway => Some(check(&self.from)?),
            Kind::Client => None,
        };
        for (from, to) in self.files() {
            open(&from)?;
            if fs::symlink_metadata(&to).is_ok() && !are_same(&from, &to)? {
                return Err(ServiceError::Occupied(to));
            }
        }
        create_directory(&self.to)?;
        match self.side {
            Kind::Client => self.moved(),
            Kind::Gateway => {
                // What a writer that was killed left half-done is taken back, and a command that writes just now is
                // waited for.
                let mut store = Store::open_or_gone(&self.from, Access::Write)?;
                store.while_nobody_writes(|| self.moved())?
            }
        }
    }

    fn moved(&self) -> Result<(), ServiceError> {
        self.files().try_for_each(|(from, to)| one(&self.to, &from, &to))
    }

    fn files(&self) -> impl Iterator<Item = (PathBuf, PathBuf)> {
        self.names.iter().map(|name| (self.from.join(name), self.to.join(name)))
    }
}

/// Whether the gateway of this directory can be taken over: it does not run, until the answer is dropped, and its store is a
/// file.
pub(super) fn check(directory: &Path) -> Result<Still, ServiceError> {
    let still = Still::of(directory).ok_or_else(|| ServiceError::Runs(directory.into()))?;
    open(&directory.join(store::FILE))?;
    Ok(still)
}

/// The new file is there, whole and its directory's owner's, before the old one goes.
fn one(directory: &Path, from: &Path, to: &Path) -> Result<(), ServiceError> {
    // To the end: closing it would end SQLite's locks of that file (fcntl(2)).
    let source = open(from)?;
    let failed = |cause| ServiceError::File { path: to.into(), cause };
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = directory.join(name);
    copy(&source, directory, &new).map_err(failed)?;
    match name_unless_taken(&new, to) {
        // A move that was interrupted has brought it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && are_same(from, to)? => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ServiceError::Occupied(to.into()));
        }
        done => done.map_err(failed)?,
    }
    fs::remove_file(from).map_err(|cause| ServiceError::File { path: from.into(), cause })
}

/// Whoever owns the directory may have put a link there, which is replaced and not followed.
fn copy(mut source: &File, directory: &Path, new: &Path) -> io::Result<()> {
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        options.mode(source.metadata()?.permissions().mode() & 0o777);
    }
    let mut file = options.open(new)?;
    io::copy(&mut source, &mut file)?;
    file.sync_all()?;
    give_to_owner(directory, &file)
}

/// Opens a regular file, and nothing that a link leads to. A pipe holds nobody up.
fn open(path: &Path) -> Result<File, ServiceError> {
    let failed = |cause| ServiceError::File { path: path.into(), cause };
    if fs::symlink_metadata(path).map_err(failed)?.is_symlink() {
        return Err(ServiceError::NotAFile(path.into()));
    }
    let mut options = OpenOptions::new();
    options.read(true);
    // It may have become a link since.
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    let file = options.open(path).map_err(failed)?;
    match file.metadata().map_err(failed)?.is_file() {
        true => Ok(file),
        false => Err(ServiceError::NotAFile(path.into())),
    }
}

/// Whether both files have the same bytes.
fn are_same(a: &Path, b: &Path) -> Result<bool, ServiceError> {
    let [a, b] = [(open(a)?, a), (open(b)?, b)].map(|(file, path)| (file, path.to_owned()));
    let length = |(file, path): &(File, PathBuf)| {
        let found = file.metadata().map(|found| found.len());
        found.map_err(|cause| ServiceError::File { path: path.clone(), cause })
    };
    let (first, second) = (length(&a)?, length(&b)?);
    if first != second {
        return Ok(false);
    }
    let read = |(file, path): (File, PathBuf)| {
        let mut bytes = Zeroizing::new(vec![]);
        match file.take(first).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(cause) => Err(ServiceError::File { path, cause }),
        }
    };
    Ok(read(a)? == read(b)?)
}
