//! The text that Prometheus reads (exposition format 0.0.4).
//!
//! ```text
//! # HELP anyproxy_sessions Live sessions.
//! # TYPE anyproxy_sessions gauge
//! anyproxy_sessions{group="demo",transport="quic"} 2
//! ```
//!
//! A family is written in one piece, with its head even when it has no sample: whoever reads it sees
//! everything that there could be.

use std::fmt::{self, Write as _};

/// What a family's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process starts anew.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// A metric with all its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name, with the unit.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels. Their values are of a bounded number: no user, target or address.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// A sample's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A count, which may be large.
    Whole(u64),
    /// Seconds, or a ratio.
    Real(f64),
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Real(number) if number.is_nan() => f.write_str("NaN"),
            Self::Real(number) if number.is_infinite() && *number > 0.0 => f.write_str("+Inf"),
            Self::Real(number) if number.is_infinite() => f.write_str("-Inf"),
            Self::Real(number) => number.fmt(f),
        }
    }
}

/// What a histogram holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Buckets {
    /// Upper bounds, ascending, and how many are at most so large.
    pub up_to: Vec<(f64, u64)>,
    /// How many there are.
    pub count: u64,
    /// What all come to.
    pub sum: f64,
}

/// The whole text.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a family; each sample has the values of its labels, in their order.
    pub fn family<V: AsRef<str>, const N: usize>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = ([V; N], Number)>,
    ) {
        self.head(family);
        for (values, number) in samples {
            let labels = family.labels.iter().copied().zip(values.iter().map(AsRef::as_ref));
            self.sample(family.name, labels, number);
        }
    }

    /// Writes a family of one sample without labels.
    pub fn single(&mut self, family: &Family, number: impl Into<Number>) {
        self.head(family);
        self.sample(family.name, std::iter::empty(), number.into());
    }

    /// Writes a histogram without labels.
    pub fn histogram(&mut self, family: &Family, buckets: &Buckets) {
        self.head(family);
        let name = format!("{}_bucket", family.name);
        let all = std::iter::once((f64::INFINITY, buckets.count));
        for (bound, count) in buckets.up_to.iter().copied().chain(all) {
            let bound = Number::Real(bound).to_string();
            self.sample(&name, std::iter::once(("le", bound.as_str())), count.into());
        }
        self.sample(&format!("{}_sum", family.name), std::iter::empty(), buckets.sum.into());
        self.sample(&format!("{}_count", family.name), std::iter::empty(), buckets.count.into());
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, Family { name, kind, help, .. }: &Family) {
        // Writing to a string cannot fail, here and below.
        let _always = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample<'a>(
        &mut self,
        name: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        number: Number,
    ) {
        self.text.push_str(name);
        let mut before = '{';
        for (label, value) in labels {
            self.text.push(before);
            before = ',';
            let _always = write!(self.text, "{label}=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if before == ',' {
            self.text.push('}');
        }
        let _always = writeln!(self.text, " {number}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSIONS: Family = Family {
        name: "anyproxy_sessions",
        kind: Kind::Gauge,
        labels: &["group", "transport"],
        help: "Live sessions.",
    };

    #[test]
    fn a_family_has_a_head_and_its_samples() {
        let mut page = Page::new();
        page.family(
            &SESSIONS,
            [(["demo", "quic"], Number::Whole(2)), (["a\"b\\c\n", "ws"], 0.5.into())],
        );
        page.family::<&str, 2>(&SESSIONS, []);
        assert_eq!(
            page.into_text(),
            "# HELP anyproxy_sessions Live sessions.\n# TYPE anyproxy_sessions gauge\n\
             anyproxy_sessions{group=\"demo\",transport=\"quic\"} 2\n\
             anyproxy_sessions{group=\"a\\\"b\\\\c\\n\",transport=\"ws\"} 0.5\n\
             # HELP anyproxy_sessions Live sessions.\n# TYPE anyproxy_sessions gauge\n"
        );
    }

    #[test]
    fn a_histogram_ends_with_all() {
        let family = Family { name: "t_seconds", kind: Kind::Histogram, labels: &[], help: "H." };
        let mut page = Page::new();
        page.histogram(
            &family,
            &Buckets { up_to: vec![(0.001, 1), (1.0, 3)], count: 4, sum: 33.5 },
        );
        assert_eq!(
            page.into_text(),
            "# HELP t_seconds H.\n# TYPE t_seconds histogram\nt_seconds_bucket{le=\"0.001\"} 1\n\
             t_seconds_bucket{le=\"1\"} 3\nt_seconds_bucket{le=\"+Inf\"} 4\nt_seconds_sum 33.5\n\
             t_seconds_count 4\n"
        );
    }
}
