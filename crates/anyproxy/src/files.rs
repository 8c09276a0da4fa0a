//! The number of file descriptors, which bounds the number of connections.

/// The number that somebody chose, or else the default, but no more than `most`, for which there are
/// descriptors. Only a choice that is cut is worth a warning.
pub(crate) fn within(
    key: &'static str,
    (chosen, default): (Option<usize>, usize),
    most: usize,
) -> usize {
    match chosen {
        Some(chosen) if chosen > most => {
            tracing::warn!(
                setting = chosen,
                used = most.max(1),
                "there are too few file descriptors for `{key}`; raise their number (ulimit -n, \
                 LimitNOFILE=)"
            );
        }
        Some(_) => {}
        None if default > most => {
            tracing::debug!(default, used = most.max(1), "`{key}` is cut to the file descriptors");
        }
        None => {}
    }
    chosen.unwrap_or(default).min(most).max(1)
}

/// Raises this process's limit to what the system allows it, logs it, and says what it is now. Many
/// shells start programs with 1,024, which a few strangers use up.
pub(crate) fn raise_limit() -> usize {
    let limit = raised_limit();
    match limit {
        usize::MAX => tracing::info!("file descriptors have no limit"),
        limit => tracing::info!(limit, "file descriptors"),
    }
    limit
}

#[cfg(unix)]
fn raised_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of file descriptors stays");
            limit.current
        }
    };
    now.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// There is no such limit here.
#[cfg(not(unix))]
fn raised_limit() -> usize {
    usize::MAX
}
