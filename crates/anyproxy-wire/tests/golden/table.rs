//! Reads tables of `docs/protocol.md`.

use std::fs;
use std::path::Path;

/// The rows, as cells, of all tables between this heading and the next of any level.
pub(crate) fn rows(heading: &str) -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "no section {heading:?}");
    lines
        .take_while(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .filter(|line| !line.starts_with(" ---"))
        .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>())
        .filter(|cells| cells.last().is_none_or(|cell| cell != "hex"))
        .collect()
}

/// The bytes of a cell; backquotes and spaces do not count.
pub(crate) fn hex(cell: &str) -> Vec<u8> {
    let digits = cell.chars().filter_map(|c| c.to_digit(16)).collect::<Vec<_>>();
    let others = cell.chars().filter(|c| !c.is_ascii_hexdigit() && !" `".contains(*c));
    assert_eq!((others.count(), digits.len() % 2), (0, 0), "{cell:?} is not hexadecimal");
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Lower-case digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
