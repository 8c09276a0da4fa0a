//! Datagrams at a steady rate that should come back: how many do not, and how long the others take.
//!
//! ```text
//! number (8 bytes)  time since the start in ns (8 bytes)  padding
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use crate::args::Args;
use crate::samples::Samples;
use crate::{Outcome, output};

/// How long after the last one was sent answers still count.
const LATE: Duration = Duration::from_millis(700);
/// Before anything counts, so that the flow is set up.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

pub async fn run(args: &Args) -> Outcome {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).await?;
    socket.connect(args.to()?).await?;
    let size = args.or("size", 256_usize)?.max(16);
    first_answer(&socket, size).await?;
    let sender = Sender {
        start: Instant::now(),
        rate: args.or("rate", 2000.0)?,
        length: args.seconds("seconds", 2.0)?,
        size,
    };
    let (start, end) = (sender.start, sender.start + sender.length + LATE);
    let socket = Arc::new(socket);
    let sent = Arc::new(AtomicU64::new(0));
    let sending = tokio::spawn(sender.run(Arc::clone(&socket), Arc::clone(&sent)));
    let mut answers = Answers::default();
    answers.receive(&socket, start, end).await;
    sending.abort();
    let sent = sent.load(Ordering::Relaxed);
    let lost = sent.saturating_sub(answers.times.len() as u64);
    output::print(&[
        ("sent", Some(sent as f64)),
        ("loss_pct", Some(100.0 * lost as f64 / sent.max(1) as f64)),
        ("doubled", Some(answers.doubled as f64)),
        ("p50_us", answers.times.micros(0.5)),
        ("p99_us", answers.times.micros(0.99)),
    ])?;
    Ok(())
}

/// Numbered `u64::MAX`, which [`Answers`] does not count. Sent again now and then: the link may lose it.
async fn first_answer(socket: &UdpSocket, size: usize) -> Outcome {
    let mut message = vec![0xff; size];
    let deadline = Instant::now() + FIRST_ANSWER;
    while Instant::now() < deadline {
        socket.send(&message).await?;
        if timeout(Duration::from_millis(300), socket.recv(&mut message))
            .await
            .is_ok_and(|got| got.is_ok())
        {
            return Ok(());
        }
    }
    Err("no datagram came back".into())
}

struct Sender {
    start: Instant,
    rate: f64,
    length: Duration,
    size: usize,
}

impl Sender {
    /// Each millisecond, as many as are due by then: a timer for each one would not keep pace.
    async fn run(self, socket: Arc<UdpSocket>, sent: Arc<AtomicU64>) {
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        let mut message = vec![0; self.size];
        let mut number = 0_u64;
        while self.start.elapsed() < self.length {
            ticks.tick().await;
            let due = (self.start.elapsed().min(self.length).as_secs_f64() * self.rate) as u64;
            while number < due {
                message[..8].copy_from_slice(&number.to_le_bytes());
                let now = self.start.elapsed().as_nanos() as u64;
                message[8..16].copy_from_slice(&now.to_le_bytes());
                if socket.send(&message).await.is_ok() {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                number += 1;
            }
        }
    }
}

#[derive(Default)]
struct Answers {
    times: Samples,
    seen: Vec<bool>,
    doubled: u64,
}

impl Answers {
    async fn receive(&mut self, socket: &UdpSocket, start: Instant, end: Instant) {
        let mut message = vec![0; 65536];
        while let Ok(received) = tokio::time::timeout_at(end, socket.recv(&mut message)).await {
            if received.is_ok_and(|length| length >= 16) {
                self.take(&message, start);
            }
        }
    }

    fn take(&mut self, message: &[u8], start: Instant) {
        let word = |at: usize| message[at..at + 8].try_into().map_or(u64::MAX, u64::from_le_bytes);
        let (number, sent) = (word(0), word(8));
        let Some(place) = usize::try_from(number).ok().filter(|place| *place < 1 << 26) else {
            return;
        };
        if self.seen.len() <= place {
            self.seen.resize(place + 1, false);
        }
        if std::mem::replace(&mut self.seen[place], true) {
            self.doubled += 1;
        } else {
            self.times.push(start.elapsed().saturating_sub(Duration::from_nanos(sent)));
        }
    }
}
