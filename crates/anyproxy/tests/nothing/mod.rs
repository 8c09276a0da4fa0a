//! Where settings are read with nothing around them.

use std::io;

use anyproxy::settings::Outside;

/// No environment, no input.
pub(crate) struct Nothing;

impl Outside for Nothing {
    fn secret_variable(&self) -> Option<Vec<u8>> {
        None
    }

    fn standard_input(&mut self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn host_name(&self) -> Option<String> {
        Some("host".into())
    }
}
