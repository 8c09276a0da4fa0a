//! From the command line to the command.

use std::{fmt::Debug, future::Future, io, sync::Arc};

use tokio::runtime::Builder;

use crate::{
    bench, certs, check,
    cli::{Cli, ClientArgs, Command, DemoArgs, DoctorArgs, GatewayArgs, LogArgs},
    client,
    demo::{self, Afterwards, DemoSettings},
    doctor,
    failure::{Failure, RunError},
    gateway, health, help, import, join, logging, manage,
    manager::Sockets,
    own, password, service,
    settings::{ClientSettings, Loaded, LogSettings, Process},
    status,
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
        Command::Client(line) => match &line.roll {
            Some(command) => Ok(manage::run_clients(command, &mut Process, out)?),
            None => run_client(&line.client, &cli.log),
        },
        Command::Token(args) => Ok(manage::run_tokens(args, &mut Process, out)?),
        Command::Bench(args) => block_on(bench::run(args, out)),
        Command::Demo(args) => run_demo(args, &cli.log),
        Command::Status(args) => block_on(async { Ok(status::run(args, out).await?) }),
        Command::Health(args) => block_on(async { Ok(health::run(args, out).await?) }),
        Command::Doctor(args) => run_doctor(args, &cli.log),
        Command::Group(args) => Ok(manage::run(args, &mut Process, out)?),
        Command::Certs(args) => Ok(certs::show_or_run(args, out)?),
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
    let (args, own) = match own::prepare(args)? {
        Some((args, own)) => (args, Some(own)),
        None => (args.clone(), None),
    };
    let sources = gateway::Sources { args, log: log.clone() };
    let loaded = sources.load()?;
    let recent = Arc::default();
    let _log = logging::start(&loaded.settings.log, &recent)?;
    announce(&loaded);
    block_on(gateway::run(loaded.settings, sources, (sockets, own), recent))
}

fn run_client(args: &ClientArgs, log: &LogArgs) -> Result<(), Failure> {
    let (args, pending) = join::prepare(args, &mut Process)?;
    let loaded = ClientSettings::load(&args, log, &mut Process)?;
    let recent = Arc::default();
    let _log = logging::start(&loaded.settings.log, &recent)?;
    announce(&loaded);
    block_on(client::run(loaded.settings, pending, recent))
}

/// The report says it all, so there is a log only for somebody who asks for it.
fn run_doctor(args: &DoctorArgs, log: &LogArgs) -> Result<(), Failure> {
    let wanted = log.log_level.is_some().then(|| LogSettings::from_flags(log)).transpose()?;
    let _log = wanted.as_ref().map(|log| logging::start(log, &Arc::default())).transpose()?;
    in_runtime(doctor::run(args, log, &mut io::stdout()))?
}

fn run_demo(args: &DemoArgs, log: &LogArgs) -> Result<(), Failure> {
    let _log = logging::start(&LogSettings::from_flags(log)?, &Arc::default())?;
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
    Ok(in_runtime(task)??)
}

fn in_runtime<T>(task: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(Failure::Threads)?;
    let ended = runtime.block_on(task);
    // What is left are look-ups in the system's resolver, which nobody can stop and nobody waits
    // for: every task has ended with its scope.
    runtime.shutdown_background();
    Ok(ended)
}
