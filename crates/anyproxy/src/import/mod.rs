//! `anyproxy import`: configurations of other programs, as ours.
//!
//! ```text
//! FILE ─▶ read ─▶ one tree ─▶ anyproxy │ frp │ rathole ─▶ draft ─▶ write ─▶ TOML
//!         (TOML, YAML, INI)       │ what is left              └─▶ secrets ─▶ private files
//!                                 └─▶ notes ─▶ standard error, and comments in the TOML
//! ```
//!
//! Two rules: our loader accepts what is written, and nothing of the foreign file is lost without a word.
//! The formats and their keys are in docs/migration.md.

mod anyproxy;
mod carry;
mod draft;
mod error;
mod frp;
mod ini;
mod node;
mod notes;
mod patterns;
mod place;
mod rathole;
mod read;
mod secrets;
mod write;
mod yaml;

use std::{io::Write, path::PathBuf};

use serde_json::Value;

use self::{carry::Context, draft::Draft, notes::Notes, secrets::Secrets};
use crate::cli::{Foreign, ImportArgs};

pub use error::ImportError;

/// Imports the files: shows the result on `out`, or writes it, and says on `err` what could not be carried over.
///
/// # Errors
///
/// See [`ImportError`]. Nothing has been written then, unless writing itself failed.
pub fn run(args: &ImportArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), ImportError> {
    let mut cx = Context { secrets: Secrets::default(), group: args.group.clone() };
    let draft = convert(args, &mut cx)?;
    let names = args.files.iter().filter_map(|path| path.file_name()?.to_str());
    let source = names.collect::<Vec<_>>().join(" and ");
    let mut pages = vec![];
    let host = draft.host();
    if let Some(gateway) = &draft.gateway {
        let text = write::gateway(gateway, &source, &host);
        pages.push(("gateway.toml", text, &gateway.notes));
    }
    if let Some(client) = &draft.client {
        pages.push(("client.toml", write::client(client, &source), &client.notes));
    }
    if pages.is_empty() {
        return Err(ImportError::Nothing);
    }
    let texts: Vec<_> = pages.iter().map(|(name, text, _)| (*name, text.as_str())).collect();
    match &args.out {
        Some(dir) => place::write(dir, &texts, &cx.secrets)?,
        None => place::show(&texts, out)?,
    }
    let notes: Vec<_> = pages.iter().map(|(name, _, notes)| (*name, *notes)).collect();
    // If nobody reads standard error, the comments in the files still tell.
    let _unread = tell(args, &notes, &host, err);
    Ok(())
}

fn convert(args: &ImportArgs, cx: &mut Context) -> Result<Draft, ImportError> {
    let mut all = Draft::default();
    for (from, value) in trees(args)? {
        let draft = match from {
            Foreign::Anyproxy => anyproxy::convert(value, cx)?,
            Foreign::Frp => frp::convert(value, cx)?,
            Foreign::Rathole => rathole::convert(value, cx)?,
        };
        if draft.gateway.is_some()
            && all.gateway.replace(draft.gateway.unwrap_or_default()).is_some()
        {
            return Err(ImportError::Twice("the gateway"));
        }
        if draft.client.is_some() && all.client.replace(draft.client.unwrap_or_default()).is_some()
        {
            return Err(ImportError::Twice("the client"));
        }
    }
    Ok(all)
}

/// The trees of the files. Both sides of AnyProxy and rathole become one tree, as they may be in one file.
fn trees(args: &ImportArgs) -> Result<Vec<(Foreign, Value)>, ImportError> {
    let mut trees: Vec<(Foreign, Value)> = vec![];
    for path in &args.files {
        let (from, value) = read::read(path, args.from)?;
        let same = trees.iter_mut().find(|(other, _)| *other == from && from != Foreign::Frp);
        match (same, value) {
            (Some((_, Value::Object(into))), Value::Object(map)) => {
                for (key, value) in map {
                    let side = ["gateway", "client", "server"].iter().find(|side| **side == key);
                    if let Some(side) = side.filter(|_| into.contains_key(&key)) {
                        return Err(ImportError::Twice(side));
                    }
                    // What both have and is not the same, such as the log, stays with the first; the other is
                    // reported under a name of its own.
                    let name = if into.get(&key).is_some_and(|other| *other != value) {
                        format!("{key} of {}", path.display())
                    } else {
                        key
                    };
                    into.insert(name, value);
                }
            }
            (_, value) => trees.push((from, value)),
        }
    }
    Ok(trees)
}

/// What could not be carried over, and what comes next.
fn tell(
    args: &ImportArgs,
    notes: &[(&str, &Notes)],
    host: &str,
    err: &mut dyn Write,
) -> std::io::Result<()> {
    for (name, notes) in notes {
        let lines: Vec<_> = notes.lines().collect();
        writeln!(err, "{name}: {} not carried over", lines.len())?;
        for line in lines {
            writeln!(err, "  - {line}")?;
        }
    }
    let Some(dir) = &args.out else {
        return writeln!(
            err,
            "Nothing is written, and no secret is shown: --out DIR writes all of it"
        );
    };
    let files: Vec<_> = notes.iter().map(|(name, _)| dir.join(name)).collect();
    let files: Vec<_> =
        files.iter().map(PathBuf::as_path).map(|path| path.display().to_string()).collect();
    writeln!(
        err,
        "Next, on the gateway: anyproxy certs --dir {} --name {host}; a client needs its ca.crt\nThen: anyproxy check {}",
        dir.join("certs").display(),
        files.join(" ")
    )
}
