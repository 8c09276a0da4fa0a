//! Settings of the log.

use std::path::PathBuf;

use tracing_subscriber::EnvFilter;

use super::input::Input;
use crate::{
    cli::LogArgs,
    config::{ConfigError, Problem, raw::RawLog},
    values::{LogFormat, LogRotation, choice},
};

/// How many rotated files are kept by default.
const KEEP: usize = 7;

/// The levels that may be given instead of a filter.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is logged, how and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// A filter in the syntax of `tracing-subscriber`, known to be well-formed.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
    /// Where they go.
    pub output: LogOutput,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    Stderr,
    /// A file.
    File {
        /// Its path; a rotated file has its date before the extension.
        path: PathBuf,
        /// When a new one is started.
        rotation: LogRotation,
        /// How many are kept.
        keep: usize,
    },
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: expand("info"), format: LogFormat::default(), output: LogOutput::Stderr }
    }
}

impl LogSettings {
    /// Settings for a command that has no configuration file.
    ///
    /// # Errors
    ///
    /// A malformed filter.
    pub fn from_flags(args: &LogArgs) -> Result<Self, ConfigError> {
        let mut outside = super::Process;
        let input = Input { source: None, outside: &mut outside, warnings: Vec::new() };
        Self::build(&input, args, &RawLog::default())
    }

    /// Joins the flags and the `[log]` table.
    pub(super) fn build(
        input: &Input<'_>,
        args: &LogArgs,
        raw: &RawLog,
    ) -> Result<Self, ConfigError> {
        let filter = input.pick(args.log_level.clone(), raw.level.as_ref(), filter)?;
        let format = input.pick(args.log_format, raw.format.as_ref(), choice)?;
        let rotation = input.pick(None, raw.rotation.as_ref(), choice)?;
        let keep = raw
            .keep
            .as_ref()
            .map(|raw| input.number(raw, (1..=1_000, "a number from 1 to 1000")))
            .transpose()?;
        let flag = args.log_file.as_deref().map(|path| ("--log-file", path));
        let output = match input.pick_path(flag, raw.file.as_ref()) {
            Some(path) => LogOutput::File {
                path: path.value,
                rotation: rotation.unwrap_or_default(),
                keep: keep.unwrap_or(KEEP),
            },
            None => LogOutput::Stderr,
        };
        let default = Self::default();
        Ok(Self {
            filter: filter.unwrap_or(default.filter),
            format: format.unwrap_or_default(),
            output,
        })
    }
}

/// Reads a level or a filter.
///
/// # Errors
///
/// [`Problem::NotA`] for what is neither.
pub(crate) fn filter(text: &str) -> Result<String, Problem> {
    let filter = expand(text);
    // A bare word would be read as the name of a module, so that a mistyped level logs nothing.
    let is_word = !text.contains(['=', ',']) && !LEVELS.contains(&text);
    match EnvFilter::try_new(&filter) {
        Ok(_) if !is_word => Ok(filter),
        Ok(_) | Err(_) => Err(Problem::NotA {
            text: text.into(),
            expected: "a log level or filter",
            example: "\"info\", \"debug\" or \"warn,anyproxy_gateway=trace\"",
        }),
    }
}

/// Makes a filter of a level: our own crates at that level, libraries no louder than warnings.
fn expand(text: &str) -> String {
    match text {
        "info" | "debug" | "trace" => format!("warn,anyproxy={text}"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_keeps_libraries_quiet() {
        assert_eq!(filter("debug").unwrap(), "warn,anyproxy=debug");
        assert_eq!(filter("error").unwrap(), "error");
        assert_eq!(filter("off").unwrap(), "off");
        assert_eq!(filter("warn,quinn=debug").unwrap(), "warn,quinn=debug");
    }

    #[test]
    fn a_mistyped_level_is_refused() {
        for text in ["", "inof", "DEBUGG", "anyproxy=loud", "anyproxy==debug", "[[["] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
