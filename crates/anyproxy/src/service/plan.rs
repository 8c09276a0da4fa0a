//! What is to be done, step by step, so that it can be shown before it is done.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::Command,
};

use super::{ServiceError, take::Take};

enum Step {
    Write(PathBuf, String),
    Remove(PathBuf),
    Take(Take),
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

    pub(super) fn take(&mut self, take: Take) {
        self.0.push(Step::Take(take));
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
                Step::Take(take) => writeln!(out, "{}", take.told("move")),
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
                Step::Take(take) => {
                    take.carry_out()?;
                    take.told("moved")
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

fn run(line: &[String]) -> Result<(), ServiceError> {
    let Some((program, words)) = line.split_first() else { return Ok(()) };
    let failed = |why| ServiceError::Command { line: line.join(" "), why };
    let status = Command::new(program).args(words).status();
    let status = status.map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}
