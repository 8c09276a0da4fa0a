//! Tests of the log, each with a subscriber of its own.

use std::fs;

use super::*;

/// Logs one line to a file with the given settings and returns what the directory holds then.
fn log_one(filter: &str, format: LogFormat, rotation: LogRotation) -> Vec<(String, String)> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("any.proxy.log");
    let output = LogOutput::File { path: path.clone(), rotation, keep: 2 };
    let settings = LogSettings { filter: filter.into(), format, output };
    let (writer, guard) = queue().finish(rolling(&path, rotation, 2).unwrap());
    let subscriber = subscriber(&settings, writer).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(port = 8443, "it is on");
        tracing::debug!("not shown");
        tracing::info!(target: "quinn", "a library's detail");
    });
    drop(guard);
    let entries = fs::read_dir(directory.path()).unwrap();
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

#[test]
fn neither_a_directory_nor_what_is_in_none_is_a_file() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("logs");
    fs::create_dir(&directory).unwrap();
    let error = rolling(&directory, LogRotation::Daily, 2).unwrap_err();
    assert!(matches!(error, LogError::NoFile(_)), "{error}");
    let error = rolling(&place.path().join("lgs/x.log"), LogRotation::Daily, 2).unwrap_err();
    assert!(matches!(error, LogError::NoDirectory { .. }), "{error}");
    assert!(error.fix().contains("make the directory"), "{}", error.fix());
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(left, [directory], "nothing was made");
}

#[test]
fn the_queue_is_bounded_and_does_not_hold_a_connection_up() {
    use std::{io::Write as _, sync::mpsc};

    /// A disk that is full until the other end is dropped.
    struct Held(mpsc::Receiver<()>);

    impl io::Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _gone = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let (hold, held) = mpsc::channel();
    let (mut writer, guard) = queue().finish(Held(held));
    let lost = writer.error_counter();
    for _ in 0..2 * MOST_WAITING {
        writer.write_all(b"line\n").unwrap();
    }
    // One more is in the writer's hands.
    let waiting = 2 * MOST_WAITING - lost.dropped_lines();
    assert!((MOST_WAITING..=MOST_WAITING + 1).contains(&waiting), "{waiting}");
    drop(hold);
    drop((writer, guard));
}
