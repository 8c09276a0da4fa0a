//! Tests of the log, each with a subscriber of its own.

use std::fs;

use super::*;

/// Logs one line to a file with the given settings and returns what the directory holds then.
fn log_one(filter: &str, format: LogFormat, rotation: LogRotation) -> Vec<(String, String)> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("logs").join("any.proxy.log");
    let output = LogOutput::File { path: path.clone(), rotation, keep: 2 };
    let settings = LogSettings { filter: filter.into(), format, output };
    let (writer, guard) = tracing_appender::non_blocking(rolling(&path, rotation, 2).unwrap());
    let subscriber = subscriber(&settings, writer).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(port = 8443, "it is on");
        tracing::debug!("not shown");
        tracing::info!(target: "quinn", "a library's detail");
    });
    drop(guard);
    let entries = fs::read_dir(directory.path().join("logs")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn text_goes_to_a_dated_file_without_colours() {
    let files = log_one("warn,anyproxy=info", LogFormat::Text, LogRotation::Daily);
    let [(name, text)] = files.as_slice() else { panic!("{files:?}") };
    assert!(name.starts_with("any.proxy.2") && name.ends_with(".log"), "{name}");
    assert!(text.contains("INFO") && text.contains("it is on port=8443"), "{text}");
    assert!(!text.contains("not shown") && !text.contains("detail"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn json_is_one_object_a_line() {
    let files = log_one("debug", LogFormat::Json, LogRotation::Never);
    let [(name, text)] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(name, "any.proxy.log");
    assert_eq!(text.lines().count(), 3);
    for line in text.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
    assert!(text.contains("\"port\":8443"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("below-a-file.log");
    let error = rolling(&path, LogRotation::Daily, 2).unwrap_err();
    assert!(error.to_string().contains("below-a-file.log"), "{error}");
    assert!(matches!(rolling(Path::new("/"), LogRotation::Daily, 2), Err(LogError::NoFile(_))));
}
