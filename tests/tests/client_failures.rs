//! Clients that fail to log in do not fill the log.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure is the test's result"
)]

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyproxy_tests::{
    groups::{group, member, refused},
    lab::{Options, Site},
    party::Party,
};
use anyproxy_transport::Transport;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

async fn failures_have_a_line_for_each_window(transport: Transport) {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(Log(Arc::clone(&lines)));
    let party = Party::start(Site::simulated().0, Options::new(transport));
    party.gateway.set_groups(&[group("red", "red secret")]);
    let mut clients = Vec::new();
    for number in 0..20 {
        let wrong = member(&party, &format!("c{number}"), "red", "a wrong secret");
        clients.push(party.client(wrong));
    }
    for client in &clients {
        let why = refused(client).await;
        assert!(why.contains("wrong group or secret"), "{why}");
    }
    drop(clients);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let lines = lines.lock().unwrap();
    let failures = lines.iter().map(|line| line.failures.unwrap_or(0)).collect::<Vec<_>>();
    assert_eq!(failures.first(), Some(&1), "the first at once: {lines:?}");
    assert!((2..=4).contains(&failures.len()), "{lines:?}");
    assert!(failures.iter().sum::<u64>() >= 20, "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_have_a_line_for_each_window_over_quic() {
    failures_have_a_line_for_each_window(Transport::Quic).await;
}

#[tokio::test(start_paused = true)]
async fn failures_have_a_line_for_each_window_over_websocket() {
    failures_have_a_line_for_each_window(Transport::WebSocket).await;
}

/// The gateway's warnings about clients.
type Lines = Arc<Mutex<Vec<Line>>>;

struct Log(Lines);

#[derive(Debug, Default)]
struct Line {
    message: String,
    failures: Option<u64>,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("anyproxy_gateway")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for Line {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "failures" {
            self.failures = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}
