//! Flags that a client which has joined cannot follow: who it is and whom it trusts was settled then.
//!
//! They are refused, since whoever gives one expects it to count. Those that say what is so anyway do no harm.

use super::{
    Warning,
    input::{Input, Origin},
};
use crate::{
    cli::ClientArgs,
    config::{ConfigError, Problem},
    values::Method,
};

/// Checks the flags of a client that has joined, or is about to; others may have any.
pub(super) fn check(input: &mut Input<'_>, args: &ClientArgs) -> Result<(), ConfigError> {
    let Some(identity) = &args.identity else { return Ok(()) };
    let differs = |pin| identity.pin.is_some_and(|joined| joined != pin);
    let flags = [
        ("--group", args.group.as_ref().is_some_and(|group| *group != identity.group)),
        ("--pin", args.pin.is_some_and(differs)),
        ("--method", args.method.is_some_and(|method| method != Method::Key)),
        ("--secret-file", args.secret_file.is_some()),
        ("--secret-stdin", args.secret_stdin),
    ];
    if let Some((flag, _)) = flags.into_iter().find(|(_, is_given)| *is_given) {
        return Err(input.error(&Origin::Flag(flag), settled(&identity.group)));
    }
    if input.outside.secret_variable().is_some() {
        input.warnings.push(Warning::NeedlessSecret);
    }
    Ok(())
}

fn settled(group: &str) -> Problem {
    Problem::Refused {
        what: format!(
            "this client joins the group `{group}` with a token and a key of its own, so this has no effect"
        ),
        fix: "leave it out, and its ANYPROXY_ variable; for a client that is told everything by flags leave \
              out --state-dir, ANYPROXY_STATE_DIR and ANYPROXY_JOIN, for one of another group use --state-dir DIR \
              and a token of that group"
            .into(),
    }
}
