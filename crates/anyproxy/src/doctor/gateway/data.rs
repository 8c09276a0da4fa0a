//! The data directory.

use std::path::Path;

use crate::{config::open_mode, doctor::Finding, settings::GatewaySettings};

const CHECK: &str = "data_dir";

/// Whether it can be used, and by nobody else.
pub(super) fn examine(settings: &GatewaySettings) -> Finding {
    let Some(dir) = &settings.data_dir else {
        return Finding::skip(CHECK, "there is none, and the file has all groups");
    };
    let path = dir.path();
    if !path.exists() {
        let value = format!("{} is not there yet", path.display());
        return if dir.is_named() {
            Finding::warn(CHECK, format!("{value}; a start makes it"))
                .fix(format!("install -d -m 700 {}", path.display()))
        } else {
            Finding::skip(CHECK, format!("{value}, and nothing needs it"))
        };
    }
    of(path)
}

fn of(path: &Path) -> Finding {
    let name = path.display();
    if !path.is_dir() {
        return Finding::fail(CHECK, format!("{name} is no directory"))
            .fix("name another `data_dir`");
    }
    if !is_writable(path) {
        return Finding::fail(CHECK, format!("{name} cannot be written"))
            .fix(format!("sudo chown $USER {name} && chmod 700 {name}"));
    }
    match open_mode(path) {
        Some(mode) => {
            Finding::warn(CHECK, format!("others may look into {name} (mode {mode:04o})"))
                .fix(format!("chmod 700 {name}"))
        }
        None => Finding::ok(CHECK, format!("{name} is there, and its owner's alone")),
    }
}

#[cfg(unix)]
fn is_writable(path: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_writable(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| !it.permissions().readonly())
}
