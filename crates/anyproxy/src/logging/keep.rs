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
        self.0.add(severity, &format!("{}{}", line.message, line.fields));
    }
}

/// The message, and the fields as the log's text form has them.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _always = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
