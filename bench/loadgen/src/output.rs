//! One line of JSON: names and numbers, nothing nested.

use std::io::Write;

/// A value of the line; `None` is a null, for what could not be measured.
pub type Field<'a> = (&'a str, Option<f64>);

pub fn print(fields: &[Field<'_>]) -> std::io::Result<()> {
    let pairs: Vec<String> = fields.iter().map(pair).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{{{}}}", pairs.join(","))?;
    out.flush()
}

fn pair((name, value): &Field<'_>) -> String {
    match value.filter(|number| number.is_finite()) {
        Some(number) => format!("\"{name}\":{number}"),
        None => format!("\"{name}\":null"),
    }
}
