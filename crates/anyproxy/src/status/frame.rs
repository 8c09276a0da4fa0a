//! What is drawn over the former view in a terminal (ECMA-48).

use std::fmt::Write as _;

/// Clears the window, once: what stood there stays in the terminal's memory.
pub(super) const CLEAR: &str = "\x1b[2J";

/// `text` from the first row on, without flicker, and no more of it than there are rows: a line too many would move all
/// others up, and each view would leave a part of itself.
pub(super) fn of(text: &str, rows: Option<usize>) -> String {
    let lines: Vec<_> = text.lines().collect();
    // Below the last line is the cursor's.
    let room = rows.map_or(lines.len(), |rows| rows.saturating_sub(1));
    let shown = if lines.len() > room { room.saturating_sub(1) } else { lines.len() };
    // Home; a line that is too long is cut and takes one row (DECAWM).
    let mut frame = String::from("\x1b[H\x1b[?7l");
    for line in lines.iter().take(shown) {
        // Writing to a string cannot fail.
        let _always = writeln!(frame, "{line}\x1b[K");
    }
    if lines.len() > shown {
        let _always = writeln!(frame, "… {} more\x1b[K", lines.len().saturating_sub(shown));
    }
    frame.push_str("\x1b[?7h\x1b[J");
    frame
}

/// How many rows the window has, if standard output tells.
#[cfg(unix)]
pub(super) fn rows() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(size.ws_row.into()).filter(|rows| *rows > 0)
}

#[cfg(not(unix))]
pub(super) fn rows() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_never_higher_than_its_window() {
        let text = "a\nb\nc\nd\n";
        for (rows, expected) in [
            (None, &["a", "b", "c", "d"][..]),
            (Some(24), &["a", "b", "c", "d"]),
            (Some(5), &["a", "b", "c", "d"]),
            (Some(4), &["a", "b", "… 2 more"]),
            (Some(2), &["… 4 more"]),
            (Some(0), &["… 4 more"]),
        ] {
            let frame = of(text, rows);
            assert_eq!(frame.matches('\n').count(), expected.len(), "{rows:?} {frame:?}");
            let inner = frame.strip_prefix("\x1b[H\x1b[?7l").unwrap();
            let inner = inner.strip_suffix("\x1b[?7h\x1b[J").unwrap();
            let lines: Vec<_> = inner.lines().map(|line| line.trim_end_matches("\x1b[K")).collect();
            assert_eq!(lines, expected);
        }
    }
}
