//! A status as a person reads it.
//!
//! Names come from other machines, so whatever could move the cursor is replaced.

use std::fmt::Write as _;

use anyproxy_admin::{
    Status,
    status::{Forward, Message, Session},
};

/// How many of the latest messages are shown.
const MESSAGES: usize = 5;

/// The whole text of one process.
pub(super) fn of(status: &Status) -> String {
    let mut text = String::new();
    head(&mut text, status);
    if let Some(failure) = status.last_failure.as_ref().filter(|_| !status.ready) {
        let ago = span(status.at.saturating_sub(failure.at));
        line(&mut text, &format!("  last failure, {ago} ago: {}", failure.text));
    }
    if !status.sessions.is_empty() {
        let rows = status.sessions.iter().map(session).collect();
        table(&mut text, &SESSION, rows);
        for session in &status.sessions {
            if let Some(why) = &session.why {
                line(&mut text, &format!("  {} by {}: {why}", session.id, session.transport));
            }
        }
    }
    if !status.forwards.is_empty() {
        table(&mut text, &FORWARD, status.forwards.iter().map(forward).collect());
    }
    if !status.messages.is_empty() {
        let skipped = status.messages.len().saturating_sub(MESSAGES);
        let latest = status.messages.iter().skip(skipped);
        table(&mut text, &MESSAGE, latest.map(|it| message(it, status.at)).collect());
    }
    text
}

fn head(text: &mut String, status: &Status) {
    let readiness = match &status.not_ready {
        None => "ready".to_owned(),
        Some(why) => format!("NOT READY: {why}"),
    };
    let up = span(status.at.saturating_sub(status.started_at));
    let Status { role, software, pid, .. } = status;
    line(text, &format!("{role} {pid} ({software}), up {up}: {readiness}"));
    if !status.listeners.is_empty() {
        let listeners = status.listeners.iter().map(|it| format!("{} {}", it.name, it.address));
        line(text, &format!("  listens: {}", listeners.collect::<Vec<_>>().join(", ")));
    }
    for certificate in &status.certificates {
        let at = u64::try_from(certificate.expires_at).unwrap_or_default();
        let expiry = match at.checked_sub(status.at) {
            Some(left) => format!("expires in {}", span(left)),
            None => "HAS EXPIRED".into(),
        };
        line(text, &format!("  certificate of {}: {expiry}", certificate.name));
    }
}

const SESSION: [&str; 13] = [
    "SESSION", "GROUP", "CLIENT", "PEER", "BY", "STATE", "FOR", "RTT", "LOSS", "OUT/s", "IN/s",
    "CONNS", "MOVES",
];

fn session(it: &Session) -> [String; 13] {
    let unknown = || "-".to_owned();
    let client = match it.replica {
        0 => it.client.clone(),
        replica => format!("{}#{replica}", it.client),
    };
    [
        it.id.clone(),
        it.group.clone(),
        client,
        it.peer.clone(),
        it.transport.clone(),
        it.state.clone(),
        span(whole(it.since_seconds)),
        it.rtt_seconds.map_or_else(unknown, |rtt| format!("{:.1} ms", rtt * 1000.0)),
        it.loss_ratio.map_or_else(unknown, |loss| format!("{:.2} %", loss * 100.0)),
        it.sending_bytes_per_second.map_or_else(unknown, bytes),
        it.receiving_bytes_per_second.map_or_else(unknown, bytes),
        it.connections.to_string(),
        it.moves.to_string(),
    ]
}

const FORWARD: [&str; 6] = ["FORWARD", "GROUP", "LISTEN", "TARGET", "STATE", "ERROR"];

fn forward(it: &Forward) -> [String; 6] {
    [
        it.name.clone().unwrap_or_else(|| "-".into()),
        it.group.clone(),
        format!("{}/{}", it.listen, it.protocol),
        it.target.clone().unwrap_or_else(|| "-".into()),
        it.state.clone(),
        it.error.clone().unwrap_or_default(),
    ]
}

const MESSAGE: [&str; 4] = ["AGO", "LEVEL", "TIMES", "MESSAGE"];

fn message(it: &Message, now: u64) -> [String; 4] {
    [span(now.saturating_sub(it.at)), it.level.clone(), it.times.to_string(), it.text.clone()]
}

/// Columns as wide as what is in them; the last one is not filled up.
fn table<const N: usize>(text: &mut String, titles: &[&str; N], rows: Vec<[String; N]>) {
    let rows = rows.into_iter().map(|row| row.map(|cell| clean(&cell))).collect::<Vec<_>>();
    let mut widths = titles.map(|title| title.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let titles = titles.map(str::to_owned);
    for row in std::iter::once(&titles).chain(&rows) {
        let mut shown = String::from("  ");
        for (width, cell) in widths.iter().zip(row) {
            // Writing to a string cannot fail.
            let _always = write!(shown, "{cell:<width$}  ");
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
}

fn line(text: &mut String, words: &str) {
    text.push_str(&clean(words));
    text.push('\n');
}

fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds for a person; what does not fit is cut"
)]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}

/// Seconds with the two largest units.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

fn bytes(number: f64) -> String {
    let mut rest = number;
    for unit in ["B", "KiB", "MiB"] {
        if rest < 1024.0 {
            return format!("{rest:.1} {unit}");
        }
        rest /= 1024.0;
    }
    format!("{rest:.1} GiB")
}

#[cfg(test)]
mod tests {
    use anyproxy_admin::status::{Certificate, Failure, Listener};

    use super::*;

    #[test]
    fn a_gateway_is_shown_with_its_sessions() {
        let session = Session {
            id: "0a1b2c3d".into(),
            group: "demo".into(),
            client: "evil\u{1b}[2J".into(),
            replica: 1,
            peer: "192.0.2.1:4433".into(),
            transport: "quic".into(),
            state: "up".into(),
            since_seconds: 3_725.9,
            rtt_seconds: Some(0.0123),
            loss_ratio: None,
            sending_bytes_per_second: Some(1536.0),
            connections: 3,
            ..Session::default()
        };
        let text = of(&Status {
            role: "gateway".into(),
            software: "anyproxy/1".into(),
            pid: 7,
            at: 1_000_000,
            started_at: 1_000_000 - 100_000,
            ready: true,
            listeners: vec![Listener { name: "http".into(), address: "127.0.0.1:80".into() }],
            certificates: vec![Certificate { name: "tunnels".into(), expires_at: 999_999 }],
            sessions: vec![session],
            ..Status::default()
        });
        let expected = "\
            gateway 7 (anyproxy/1), up 1 d 3 h: ready\n  listens: http 127.0.0.1:80\n  \
            certificate of tunnels: HAS EXPIRED\n  \
            SESSION   GROUP  CLIENT      PEER            BY    STATE  FOR      RTT      LOSS  OUT/s    IN/s  CONNS  MOVES\n  \
            0a1b2c3d  demo   evil\u{fffd}[2J#1  192.0.2.1:4433  quic  up     1 h 2 min  12.3 ms  -     1.5 KiB  -     3      0\n";
        assert_eq!(
            text.split_whitespace().collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
        let columns = text.lines().skip(3).map(|row| row.split("  ").count());
        assert!(columns.clone().all(|count| count > 10), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_client_without_a_session_says_why() {
        let text = of(&Status {
            role: "client".into(),
            at: 100,
            not_ready: Some("no session is up".into()),
            last_failure: Some(Failure { at: 95, text: "refused; check the secret".into() }),
            ..Status::default()
        });
        assert!(text.contains("NOT READY: no session is up\n"), "{text}");
        assert!(text.contains("last failure, 5 s ago: refused; check the secret\n"), "{text}");
    }
}
