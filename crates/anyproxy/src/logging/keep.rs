//! Keeps the latest warnings for `anyproxy status`, whatever the log shows.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

use anyproxy_admin::{Recent, Severity};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::LevelFilter,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// A layer that adds warnings and errors to `recent`.
pub(super) fn layer<S>(recent: Arc<Recent>) -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    LevelFilter: Filter<S>,
{
    Keep(recent).with_filter(LevelFilter::WARN)
}

struct Keep(Arc<Recent>);

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let severity = match *event.metadata().level() {
            Level::ERROR => Severity::Error,
            _ => Severity::Warning,
        };
        let text = format!("{}{}", line.message, line.fields);
        self.0.add_many(severity, &text, line.times.unwrap_or(1));
    }
}

/// The message, and the fields as the log's text form has them.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
    /// How often it happened, which the status has a column for.
    times: Option<u64>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _always = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "times" => self.times = Some(value),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn how_often_it_happened_is_no_part_of_the_text() {
        let recent = Arc::new(Recent::default());
        let subscriber = tracing_subscriber::registry().with(layer(Arc::clone(&recent)));
        tracing::subscriber::with_default(subscriber, || {
            for times in [1_u64, 100] {
                tracing::warn!(listener = "http", times, number = 7_u64, "no room");
            }
            tracing::warn!("another");
        });
        let kept = recent.messages();
        let kept: Vec<_> = kept.iter().map(|it| (it.text.as_str(), it.times)).collect();
        assert_eq!(kept, [("no room listener=http number=7", 101), ("another", 1)]);
        assert_eq!(recent.counts().0, 3, "lines of the log");
    }
}
