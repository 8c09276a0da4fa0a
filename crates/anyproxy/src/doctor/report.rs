//! What was found, for people and for programs.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, but could be better.
    Warn,
    /// It does not work.
    Fail,
    /// It was not looked at, and the value says why.
    Skip,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check, by its name in `docs/doctor.md`.
    pub check: &'static str,
    /// How it went.
    pub status: Status,
    /// What was measured, or what went wrong.
    pub value: String,
    /// The command or setting that repairs it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
    /// How long it took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, value: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, value.into())
    }

    /// It could be better.
    pub fn warn(check: &'static str, value: impl Into<String>) -> Self {
        Self::new(check, Status::Warn, value.into())
    }

    /// It does not work.
    pub fn fail(check: &'static str, value: impl Into<String>) -> Self {
        Self::new(check, Status::Fail, value.into())
    }

    /// It was not looked at, because of `value`.
    pub fn skip(check: &'static str, value: impl Into<String>) -> Self {
        Self::new(check, Status::Skip, value.into())
    }

    fn new(check: &'static str, status: Status, value: String) -> Self {
        Self { check, status, value, fix: String::new(), took_ms: None }
    }

    /// With what repairs it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// With how long it took.
    #[must_use]
    pub fn took(mut self, took: Duration) -> Self {
        self.took_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

/// What was found at one end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The version of this format.
    version: u32,
    /// `gateway`, `client`, or `unknown` when the file could not be read.
    pub role: &'static str,
    /// The findings, in the order in which a connection meets what they are about.
    #[serde(rename = "checks")]
    pub findings: Vec<Finding>,
}

/// A report, and what it comes to.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    result: Status,
}

impl Report {
    /// Nothing so far.
    #[must_use]
    pub fn new(role: &'static str) -> Self {
        Self { version: 1, role, findings: vec![] }
    }

    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds several.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// This one's findings, then the other's, whose role it takes.
    #[must_use]
    pub(super) fn joined(mut self, other: Self) -> Self {
        self.role = other.role;
        self.findings.extend(other.findings);
        self
    }

    /// The findings of a check.
    pub fn of(&self, check: &str) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| finding.check == check)
    }

    /// How many checks failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.count(Status::Fail)
    }

    fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// The worst of all.
    #[must_use]
    pub fn result(&self) -> Status {
        match (self.count(Status::Fail), self.count(Status::Warn)) {
            (0, 0) => Status::Ok,
            (0, _) => Status::Warn,
            (_, _) => Status::Fail,
        }
    }

    /// For programs: one JSON object and a line end.
    #[must_use]
    pub fn json(&self) -> String {
        let whole = Whole { report: self, result: self.result() };
        // Texts and numbers always become JSON.
        serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
    }

    /// For people: a line for each finding, and one below with what repairs it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let Finding { check, status, value, fix, took_ms } = finding;
            let status = match status {
                Status::Ok => "ok",
                Status::Warn => "warn",
                Status::Fail => "FAIL",
                Status::Skip => "-",
            };
            // Writing to a string cannot fail.
            let _always = write!(text, "{status:<5} {check:<12} {value}");
            if let Some(took) = took_ms {
                let _always = write!(text, " ({took} ms)");
            }
            text.push('\n');
            if !fix.is_empty() {
                let _always = writeln!(text, "                   fix: {fix}");
            }
        }
        let (failed, warned) = (self.count(Status::Fail), self.count(Status::Warn));
        let _always = writeln!(text, "\n{failed} failed, {warned} to look at");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new("client");
        report.add(Finding::ok("tcp", "198.51.100.7:443").took(Duration::from_millis(12)));
        report.add(Finding::warn("mtu", "1200 bytes").fix("ip link set dev eth0 mtu 1500"));
        report
    }

    #[test]
    fn programs_get_a_stable_form() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        let expected = serde_json::json!({
            "version": 1,
            "role": "client",
            "result": "warn",
            "checks": [
                {"check": "tcp", "status": "ok", "value": "198.51.100.7:443", "took_ms": 12},
                {
                    "check": "mtu", "status": "warn", "value": "1200 bytes",
                    "fix": "ip link set dev eth0 mtu 1500"
                },
            ],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn people_get_a_line_for_each_and_what_repairs_it() {
        let expected = "ok    tcp          198.51.100.7:443 (12 ms)\n\
                        warn  mtu          1200 bytes\n                   \
                        fix: ip link set dev eth0 mtu 1500\n\n0 failed, 1 to look at\n";
        assert_eq!(report().text(), expected);
    }

    #[test]
    fn one_failure_decides() {
        let mut report = report();
        assert_eq!((report.result(), report.failed()), (Status::Warn, 0));
        report.add(Finding::fail("quic", "nothing"));
        report.add(Finding::skip("mtu", "no QUIC"));
        assert_eq!((report.result(), report.failed()), (Status::Fail, 1));
    }
}
