//! Every file below `tests/configs` does what its place and its first line say; the shipped ones start.
//!
//! The first line of an invalid file is `# part of the error | part of the fix`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyproxy::{
    check::check,
    cli::{Kind, LogArgs},
};
use support::Place;

fn files(directory: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Puts a file where it would be, beside `certs/`.
fn install(place: &Place, file: &Path) -> (PathBuf, String) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(file).unwrap();
    (place.write(&format!("configs/{name}"), &text), text)
}

fn kind_of(path: &Path) -> Option<Kind> {
    match path.file_name().unwrap().to_str().unwrap() {
        name if name.starts_with("gateway") => Some(Kind::Gateway),
        name if name.starts_with("client") => Some(Kind::Client),
        _ => None,
    }
}

#[test]
fn valid_files_are_accepted_and_their_kind_is_seen() {
    let place = Place::new();
    for file in files("tests/configs/valid") {
        let (path, _) = install(&place, &file);
        match check(&path, None, &LogArgs::default()) {
            Ok((kind, warnings)) => {
                assert_eq!(Some(kind), kind_of(&path), "{}", path.display());
                assert_eq!(warnings, [], "{}", path.display());
            }
            Err(error) => panic!("{error}\n{}", error.excerpt().unwrap_or_default()),
        }
    }
}

#[test]
fn invalid_files_get_the_error_of_their_first_line() {
    let place = Place::new();
    let surprises: Vec<_> = files("tests/configs/invalid")
        .iter()
        .filter_map(|file| surprise(&place, file).map(|what| format!("{}: {what}", file.display())))
        .collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

/// What differs from what the file's first line says.
fn surprise(place: &Place, file: &Path) -> Option<String> {
    let (path, text) = install(place, file);
    let expected = text.lines().next()?.strip_prefix("# ")?;
    let (error_part, fix_part) = expected.split_once(" | ").unwrap_or((expected, ""));
    let Err(error) = check(&path, kind_of(&path), &LogArgs::default()) else {
        return Some("was accepted".into());
    };
    let (message, fix) = (error.to_string(), error.fix().unwrap_or_default());
    let shown = format!("{message}\n{}\n{fix}", error.excerpt().unwrap_or_default());
    let right = message.contains(error_part)
        && message.contains(path.file_name()?.to_str()?)
        && fix.contains(fix_part)
        && !shown.contains("hunter2");
    (!right).then_some(shown)
}

/// A shipped example configuration that does not start.
#[test]
fn shipped_files_start_after_certs() {
    let place = Place::new();
    for file in files("../../configs") {
        let (path, _) = install(&place, &file);
        let checked = check(&path, None, &LogArgs::default());
        let (kind, warnings) = checked.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Some(kind), kind_of(&path));
        assert_eq!(warnings, []);
    }
}
