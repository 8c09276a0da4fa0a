//! The near end of a measurement.

use std::{io, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::net::{Conn, Net, Role};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
    time::Instant,
};

use super::{
    BenchError,
    cpu::{Clock, Whose},
    figures::{Latency, Row},
    target::{DOWN, ECHO, MAGIC, UP, receive, send, within},
};
use crate::{cli::BenchArgs, values::HostPort};

/// Bytes of a small exchange.
const SMALL: usize = 64;
/// Connections made at a time.
const MAKERS: u32 = 8;
/// To resolve, connect and hear from the target.
const CONNECT: Duration = Duration::from_secs(10);

/// One way to a target, and how much is to be moved.
#[derive(Clone)]
pub(super) struct Measurement {
    net: Arc<dyn Net>,
    at: HostPort,
    size: u64,
    exchanges: u32,
    connections: u32,
}

impl Measurement {
    pub(super) fn new(net: &Arc<dyn Net>, at: HostPort, args: &BenchArgs) -> Self {
        let BenchArgs { size, exchanges, connections, .. } = *args;
        Self { net: Arc::clone(net), at, size, exchanges, connections }
    }

    /// Measures one thing after the other.
    pub(super) async fn run(&self, name: String, whose: Whose) -> Result<Row, BenchError> {
        let bar = bar(self.size.saturating_mul(2));
        let clock = Clock::read(whose).await;
        bar.set_message(format!("{name} down"));
        let down = self.down(&bar).await?;
        bar.set_message(format!("{name} up"));
        let up = self.up(&bar).await?;
        let used = clock.since().await;
        bar.set_message(format!("{name} small"));
        let latency = self.latency().await?;
        let connecting = self.connections().await?;
        bar.finish_and_clear();
        let moved = self.size.saturating_mul(2);
        Ok(Row::new(name, (self.size, down, up), latency, (self.connections, connecting))
            .with_cpu(used, moved))
    }

    async fn down(&self, bar: &ProgressBar) -> Result<Duration, BenchError> {
        const STAGE: &str = "the download";
        let mut conn = self.open(DOWN, self.size).await?;
        let began = Instant::now();
        let got = receive(&mut conn, self.size, |some| bar.inc(some)).await;
        self.whole(STAGE, got.map_err(|source| BenchError::Broken { stage: STAGE, source })?)?;
        Ok(began.elapsed())
    }

    async fn up(&self, bar: &ProgressBar) -> Result<Duration, BenchError> {
        const STAGE: &str = "the upload";
        let mut conn = self.open(UP, self.size).await?;
        let began = Instant::now();
        let moving = async {
            send(&mut conn, self.size, |some| bar.inc(some)).await?;
            let mut answer = [0; 8];
            within(conn.read_exact(&mut answer)).await?;
            Ok(u64::from_be_bytes(answer))
        };
        let got = moving.await.map_err(|source| BenchError::Broken { stage: STAGE, source })?;
        self.whole(STAGE, got)?;
        Ok(began.elapsed())
    }

    fn whole(&self, stage: &'static str, right: u64) -> Result<(), BenchError> {
        if right == self.size { Ok(()) } else { Err(BenchError::Corrupt { stage, at: right }) }
    }

    async fn latency(&self) -> Result<Latency, BenchError> {
        let broken = |source| BenchError::Broken { stage: "a small exchange", source };
        let mut conn = self.open(ECHO, 0).await?;
        let mut times = Vec::new();
        for _ in 0..self.exchanges {
            times.push(exchange(&mut conn).await.map_err(broken)?);
        }
        Ok(Latency::of(times))
    }

    /// How long it takes to make them all, each with one small exchange.
    async fn connections(&self) -> Result<Duration, BenchError> {
        let scope = Scope::root("bench");
        let (results, mut made) = mpsc::channel(64);
        let began = Instant::now();
        for maker in 0..MAKERS {
            let count = (maker..self.connections).step_by(8).count();
            let (this, results) = (self.clone(), results.clone());
            scope.spawn("connections", async move {
                for _ in 0..count {
                    let result = this.connection().await;
                    // Nobody counts any more: another one has failed.
                    if results.send(result).await.is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let mut outcome = Ok(());
        while let Some(result) = made.recv().await {
            outcome = outcome.and(result);
            if outcome.is_err() {
                break;
            }
        }
        scope.cancel();
        outcome.map(|()| began.elapsed())
    }

    async fn connection(&self) -> Result<(), BenchError> {
        let mut conn = self.open(ECHO, 0).await?;
        let exchanged = exchange(&mut conn).await;
        exchanged.map_err(|source| BenchError::Broken { stage: "a connection", source })?;
        Ok(())
    }

    /// Connects, says what is wanted, and makes sure that a target answers.
    async fn open(&self, what: u8, length: u64) -> Result<Conn, BenchError> {
        let deadline = Deadline::after(CONNECT);
        let late = || io::Error::from(io::ErrorKind::TimedOut);
        let connecting = deadline.bound(self.connect()).await.unwrap_or_else(|_| Err(late()));
        let mut conn =
            connecting.map_err(|source| BenchError::Connect { at: self.at.clone(), source })?;
        let greeting = async {
            let mut head = MAGIC.to_vec();
            head.push(what);
            head.extend(length.to_be_bytes());
            conn.write_all(&head).await?;
            let mut answer = [0; MAGIC.len()];
            conn.read_exact(&mut answer).await?;
            if answer == *MAGIC { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
        };
        let greeted = deadline.bound(greeting).await.unwrap_or_else(|_| Err(late()));
        greeted.map_err(|source| BenchError::NotATarget { at: self.at.clone(), source })?;
        Ok(conn)
    }

    async fn connect(&self) -> io::Result<Conn> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for addr in self.net.resolve(&self.at.host, self.at.port).await? {
            match self.net.connect(addr, Role::Proxied).await {
                Ok(conn) => return Ok(conn),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

async fn exchange(conn: &mut Conn) -> io::Result<Duration> {
    let (sent, mut got) = ([0x5a; SMALL], [0; SMALL]);
    let began = Instant::now();
    within(conn.write_all(&sent)).await?;
    within(conn.read_exact(&mut got)).await?;
    if got == sent { Ok(began.elapsed()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// A bar on a terminal; nothing where standard error goes elsewhere.
fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    match ProgressStyle::with_template("{msg:<28} [{wide_bar}] {bytes}/{total_bytes}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
