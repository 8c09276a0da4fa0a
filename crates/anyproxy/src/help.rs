//! Shell completions and manual pages, made of the command line's own definition, so that they cannot say anything
//! else than `--help`.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::CommandFactory as _;
use clap_complete::generate;
use clap_mangen::Man;
use thiserror::Error;

use crate::cli::{Cli, CompletionsArgs, ManArgs};

/// Why the manual pages could not be written.
#[derive(Debug, Error)]
pub enum ManError {
    /// Into the directory.
    #[error("cannot write manual pages to {}", dir.display())]
    Write {
        /// The directory.
        dir: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// To standard output.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Prints what completes the commands in a shell.
pub(crate) fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> io::Result<()> {
    // The generator panics where it cannot write, so it writes to memory.
    let mut text = vec![];
    generate(args.shell, &mut Cli::command(), "anyproxy", &mut text);
    enough(out.write_all(&text))
}

/// Whoever reads may stop when it has enough, as `head` does.
fn enough(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints the manual page of the program, or writes those of all its commands: `anyproxy.1`, `anyproxy-gateway.1` …
pub(crate) fn man(args: &ManArgs, out: &mut dyn Write) -> Result<(), ManError> {
    let Some(dir) = &args.out else {
        // As in the directory, which has no page for `help`.
        let command = Cli::command().disable_help_subcommand(true);
        return enough(Man::new(command).render(out)).map_err(ManError::Output);
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), dir))
        .map_err(|cause| ManError::Write { dir: dir.clone(), cause })
}

#[cfg(test)]
mod tests {
    use clap_complete::Shell;

    use super::*;

    /// The commands, each with those below it: the page, as in `anyproxy-group-add`, and the word.
    fn commands() -> Vec<(String, String)> {
        fn below(command: &clap::Command, prefix: &str, names: &mut Vec<(String, String)>) {
            for command in command.get_subcommands() {
                let name = format!("{prefix}-{}", command.get_name());
                names.push((name.clone(), command.get_name().to_owned()));
                below(command, &name, names);
            }
        }
        let mut names = vec![];
        below(&Cli::command(), "anyproxy", &mut names);
        assert!(
            names.len() > 10 && names.iter().any(|(page, _)| page == "anyproxy-group-add"),
            "{names:?}"
        );
        names
    }

    #[test]
    fn every_shell_completes_every_command_and_flag() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = vec![];
            completions(&CompletionsArgs { shell }, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            for (_, word) in commands() {
                assert!(text.contains(&word), "{shell}: {word}");
            }
            assert!(text.contains("forward") && text.contains("secret-file"), "{shell}");
        }
    }

    /// Standard output, as far as `head` reads it.
    struct Head;

    impl Write for Head {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_enough_is_no_failure() {
        completions(&CompletionsArgs { shell: Shell::Bash }, &mut Head).unwrap();
        man(&ManArgs { out: None }, &mut Head).unwrap();
    }

    #[test]
    fn every_command_has_a_manual_page() {
        let dir = tempfile::TempDir::new().unwrap();
        let out = dir.path().join("man1");
        man(&ManArgs { out: Some(out.clone()) }, &mut vec![]).unwrap();
        for (name, _) in commands() {
            let page = fs::read_to_string(out.join(format!("{name}.1"))).unwrap();
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}");
        }
        let top = fs::read_to_string(out.join("anyproxy.1")).unwrap();
        for name in ["gateway", "client", "import"] {
            assert!(top.contains(&format!("anyproxy\\-{name}(1)")), "{name}: {top}");
        }
        let mut page = vec![];
        man(&ManArgs { out: None }, &mut page).unwrap();
        assert_eq!(String::from_utf8(page).unwrap(), top);
    }
}
