//! From the command line to the command.

use std::{fmt::Debug, future::Future, io};

use tokio::runtime::Builder;

use crate::{
    certs, check,
    cli::{Cli, ClientArgs, Command, DemoArgs, GatewayArgs, LogArgs},
    client,
    demo::{self, Afterwards, DemoSettings},
    failure::{Failure, RunError},
    gateway, health, help, import, logging, manage,
    manager::Sockets,
    password, service,
    settings::{ClientSettings, Loaded, LogSettings, Process},
};

/// Does what the command line asks for; returns when it is done or a signal has ended it.
///
/// # Errors
///
/// See [`Failure`].
pub fn run(cli: &Cli) -> Result<(), Failure> {
    let out = &mut io::stdout();
    match &cli.command {
        Command::Gateway(args) => run_gateway(args, &cli.log),
        Command::Client(args) => run_client(args, &cli.log),
        Command::Demo(args) => run_demo(args, &cli.log),
        Command::Health(args) => block_on(async { Ok(health::run(args, out).await?) }),
        Command::Group(args) => Ok(manage::run(args, &mut Process, out)?),
        Command::Certs(args) => Ok(certs::run(args, out)?),
        Command::HashPassword(args) => Ok(password::run(args, out)?),
        Command::Import(args) => Ok(import::run(args, out, &mut io::stderr())?),
        Command::Service(args) => Ok(service::run(args, out)?),
        Command::Completions(args) => help::completions(args, out).map_err(Failure::Output),
        Command::Man(args) => Ok(help::man(args, out)?),
        Command::Check(args) => match check::run(args, &cli.log, out).map_err(Failure::Output)? {
            0 => Ok(()),
            failed => Err(Failure::Check(failed)),
        },
    }
}

fn run_gateway(args: &GatewayArgs, log: &LogArgs) -> Result<(), Failure> {
    // The log starts the first thread.
    let sockets = Sockets::take();
    let sources = gateway::Sources { args: args.clone(), log: log.clone() };
    let loaded = sources.load()?;
    let _log = logging::start(&loaded.settings.log)?;
    announce(&loaded);
    block_on(gateway::run(loaded.settings, sources, sockets))
}

fn run_client(args: &ClientArgs, log: &LogArgs) -> Result<(), Failure> {
    let loaded = ClientSettings::load(args, log, &mut Process)?;
    let _log = logging::start(&loaded.settings.log)?;
    announce(&loaded);
    block_on(client::run(loaded.settings))
}

fn run_demo(args: &DemoArgs, log: &LogArgs) -> Result<(), Failure> {
    let _log = logging::start(&LogSettings::from_flags(log)?)?;
    let afterwards = if args.once { Afterwards::Exit } else { Afterwards::StayUp };
    block_on(demo::run(DemoSettings { size: args.size, afterwards }))
}

/// Logs what is not as it should be, and the settings, in which secrets are hidden.
fn announce<T: Debug>(loaded: &Loaded<T>) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    tracing::debug!(settings = ?loaded.settings, "starting");
}

fn block_on(task: impl Future<Output = Result<(), RunError>>) -> Result<(), Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(Failure::Threads)?;
    let ended = runtime.block_on(task);
    // What is left are look-ups in the system's resolver, which nobody can stop and nobody waits
    // for: every task has ended with its scope.
    runtime.shutdown_background();
    Ok(ended?)
}
