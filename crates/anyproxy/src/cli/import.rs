//! Flags of `anyproxy import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::with_fix;
use crate::values::group_name;

/// Whose configuration a foreign file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Foreign {
    /// The AnyProxy in Go, YAML.
    Anyproxy,
    /// frps or frpc: TOML, YAML, JSON or INI.
    Frp,
    /// rathole, TOML.
    Rathole,
}

/// Flags of `anyproxy import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The files; both sides of one tunnel may be imported together
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Which program they are for [default: seen from their keys]
    #[arg(long)]
    pub from: Option<Foreign>,
    /// Write gateway.toml, client.toml and a private file for each secret into this directory, instead of
    /// showing the configuration without secrets
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The name of the group [default: the one in the file, else the program's name]
    #[arg(long, value_name = "NAME", value_parser = with_fix(group_name))]
    pub group: Option<String>,
}
