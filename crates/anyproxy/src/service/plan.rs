//! What is to be done, step by step, so that it can be shown before it is done.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use zeroize::Zeroizing;

use super::ServiceError;
use crate::store::{create_directory, give_to_owner};

enum Step {
    Write(PathBuf, String),
    Remove(PathBuf),
    Take(PathBuf, PathBuf),
    Run(Vec<String>),
    Say(String),
}

/// Steps in their order.
#[derive(Default)]
pub(super) struct Plan(Vec<Step>);

impl Plan {
    pub(super) fn write(&mut self, path: PathBuf, text: String) {
        self.0.push(Step::Write(path, text));
    }

    pub(super) fn remove(&mut self, path: PathBuf) {
        self.0.push(Step::Remove(path));
    }

    /// Moves a file that nobody else may read, into a directory that is made for nobody else.
    pub(super) fn take(&mut self, from: PathBuf, to: PathBuf) {
        self.0.push(Step::Take(from, to));
    }

    pub(super) fn run(&mut self, line: impl Into<Vec<String>>) {
        self.0.push(Step::Run(line.into()));
    }

    pub(super) fn say(&mut self, text: String) {
        self.0.push(Step::Say(text));
    }

    /// Shows what would be done.
    pub(super) fn show(&self, out: &mut dyn Write) -> Result<(), ServiceError> {
        for step in &self.0 {
            match step {
                Step::Write(path, text) => writeln!(out, "write {}:\n{text}", path.display()),
                Step::Take(from, to) => {
                    writeln!(out, "move {} to {}", from.display(), to.display())
                }
                Step::Remove(path) => writeln!(out, "remove {}", path.display()),
                Step::Run(line) => writeln!(out, "run {}", line.join(" ")),
                Step::Say(text) => writeln!(out, "{text}"),
            }
            .map_err(ServiceError::Output)?;
        }
        Ok(())
    }

    /// Does it, and says so. Ends at the first step that fails; doing all of it again is harmless.
    pub(super) fn carry_out(&self, out: &mut dyn Write) -> Result<(), ServiceError> {
        for step in &self.0 {
            let done = match step {
                Step::Write(path, text) => {
                    write(path, text)?;
                    format!("wrote {}", path.display())
                }
                Step::Take(from, to) => {
                    let failed = |cause| ServiceError::File { path: to.clone(), cause };
                    take(from, to).map_err(failed)?;
                    format!("moved {} to {}", from.display(), to.display())
                }
                Step::Remove(path) => match fs::remove_file(path) {
                    Ok(()) => format!("removed {}", path.display()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(cause) => return Err(ServiceError::File { path: path.clone(), cause }),
                },
                Step::Run(line) => {
                    run(line)?;
                    format!("ran {}", line.join(" "))
                }
                Step::Say(text) => text.clone(),
            };
            writeln!(out, "{done}").map_err(ServiceError::Output)?;
        }
        Ok(())
    }
}

fn write(path: &PathBuf, text: &str) -> Result<(), ServiceError> {
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    let failed = |cause| ServiceError::File { path: path.clone(), cause };
    parent.and_then(|()| fs::write(path, text)).map_err(failed)
}

/// The new file is there, whole and its directory's owner's, before the old one goes. Whoever owns the directory may
/// have put a link there, which is replaced and not followed.
fn take(from: &Path, to: &Path) -> io::Result<()> {
    let directory = to.parent().unwrap_or(Path::new("."));
    create_directory(directory).map_err(io::Error::other)?;
    let bytes = Zeroizing::new(fs::read(from)?);
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = directory.join(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
        options.mode(fs::metadata(from)?.permissions().mode() & 0o777);
    }
    let mut file = options.open(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    give_to_owner(directory, &file)?;
    fs::rename(&new, to)?;
    fs::remove_file(from)
}

fn run(line: &[String]) -> Result<(), ServiceError> {
    let Some((program, words)) = line.split_first() else { return Ok(()) };
    let failed = |why| ServiceError::Command { line: line.join(" "), why };
    let status = Command::new(program).args(words).status();
    let status = status.map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}
