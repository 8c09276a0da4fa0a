//! Which process has a port, as far as Linux tells this user (proc(5)).

use std::{fmt, fs, path::Path};

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// The state of a socket that listens.
const LISTENS: &str = "0A";

/// Who holds `port`; `None` where that is not told.
pub(super) fn of(port: u16, protocol: Protocol) -> Option<Holder> {
    let inodes = ["", "6"].into_iter().filter_map(|family| {
        let table = fs::read_to_string(format!("/proc/net/{protocol}{family}")).ok()?;
        inode(&table, port, protocol)
    });
    let sockets = inodes.map(|inode| format!("socket:[{inode}]")).collect::<Vec<_>>();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    processes
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .find(|(_, path)| has(path, &sockets))
        .map(|(pid, path)| {
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            Holder { pid, name: name.trim().to_owned() }
        })
}

/// Whether a process has one of the sockets open.
fn has(process: &Path, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    let mut targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    targets.any(|target| target.to_str().is_some_and(|it| sockets.iter().any(|one| one == it)))
}

/// The socket that holds `port` in a table of sockets.
fn inode(table: &str, port: u16, protocol: Protocol) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let fields = line.split_whitespace().collect::<Vec<_>>();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let state = *fields.get(3)?;
        let ours = u16::from_str_radix(local, 16).ok()? == port
            && (protocol == Protocol::Udp || state == LISTENS);
        if ours { fields.get(9)?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
         0: 0100007F:1F98 0200007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0 20 4 30 10 -1\n   \
         1: 0100007F:1F98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n";

    #[test]
    fn the_socket_that_listens_is_found() {
        assert_eq!(inode(TABLE, 8_088, Protocol::Tcp), Some(4_711));
        assert_eq!(inode(TABLE, 8_088, Protocol::Udp), Some(11));
        assert_eq!(inode(TABLE, 8_089, Protocol::Tcp), None);
        assert_eq!(inode("garbage\ngarbage\n", 1, Protocol::Tcp), None);
    }
}
