//! Where the result goes: to the screen without secrets, or into a directory.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use super::{ImportError, secrets::Secrets};

/// Shows the files, one after the other.
pub(super) fn show(pages: &[(&str, &str)], out: &mut dyn Write) -> Result<(), ImportError> {
    for (name, text) in pages {
        let head = if pages.len() > 1 { format!("# ==> {name}\n") } else { String::new() };
        writeln!(out, "{head}{text}").map_err(ImportError::Output)?;
    }
    Ok(())
}

/// Writes the files and the secrets into `dir`, in which none of them may be yet. The secrets are their owner's alone,
/// even while they are written.
pub(super) fn write(
    dir: &Path,
    pages: &[(&str, &str)],
    secrets: &Secrets,
) -> Result<(), ImportError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| ImportError::Write { path, cause }
    };
    fs::create_dir_all(dir).map_err(failed(dir))?;
    let names = pages.iter().map(|(name, _)| *name).chain(secrets.files().map(|(name, _)| name));
    // All of them first, so that nothing is written beside what is there.
    for path in names.map(|name| dir.join(name)) {
        if path.symlink_metadata().is_ok() {
            return Err(ImportError::Exists(path));
        }
    }
    for (name, text) in secrets.files() {
        let path = dir.join(name);
        new_file(&path, 0o600, &[text, "\n"]).map_err(failed(&path))?;
    }
    for (name, text) in pages {
        let path = dir.join(name);
        new_file(&path, 0o644, &[text]).map_err(failed(&path))?;
    }
    Ok(())
}

fn new_file(path: &Path, mode: u32, parts: &[&str]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part.as_bytes()))?;
    file.sync_all()
}
