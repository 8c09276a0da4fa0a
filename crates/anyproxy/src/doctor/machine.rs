//! What the machine grants: buffers, descriptors, the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Finding, Surroundings};

/// Below this many descriptors a few hundred connections are all there can be.
const FEW_FILES: u64 = 4_096;

/// Before this moment nobody can have had this program: 2025-01-01.
const BEFORE_US: Duration = Duration::from_secs(1_735_689_600);

/// Buffers of the UDP socket that QUIC runs on.
pub(super) fn udp_buffers(here: &Surroundings) -> Finding {
    const CHECK: &str = "udp_buffers";
    let Some(buffers) = here.udp_buffers else {
        return Finding::skip(CHECK, "this system does not tell");
    };
    let kib = |bytes: usize| bytes / 1024;
    let value = format!(
        "receive {} KiB, send {} KiB, wanted {} KiB each",
        kib(buffers.receive),
        kib(buffers.send),
        kib(buffers.asked)
    );
    if buffers.is_short() {
        let wanted = buffers.asked;
        Finding::warn(CHECK, format!("{value}: fast links lose datagrams")).fix(format!(
            "sudo sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted}   (and in \
             /etc/sysctl.d/anyproxy.conf to keep it)"
        ))
    } else {
        Finding::ok(CHECK, value)
    }
}

/// File descriptors, of which each connection takes one or two.
pub(super) fn files(here: &Surroundings) -> Finding {
    match here.files {
        None => Finding::ok("files", "file descriptors have no limit"),
        Some(files) if files < FEW_FILES => {
            Finding::warn("files", format!("{files} file descriptors: too few for many users"))
                .fix("LimitNOFILE=65536 in the systemd unit, or: ulimit -Hn 65536")
        }
        Some(files) => Finding::ok("files", format!("{files} file descriptors")),
    }
}

/// Sets the clock right.
pub(super) const SET_CLOCK: &str = "sudo timedatectl set-ntp true   (or start another NTP service)";

/// A clock that nobody ever set, where no other one can be asked.
pub(super) fn unset_clock(now: SystemTime) -> Option<Finding> {
    let year = now.duration_since(UNIX_EPOCH).ok().filter(|since| *since >= BEFORE_US);
    if year.is_some() {
        return None;
    }
    let value = format!("this machine's clock says {}, which cannot be", date(now));
    Some(Finding::fail("clock", value).fix(SET_CLOCK))
}

/// A moment as a date and the time to the minute, in UTC.
pub(super) fn date(time: SystemTime) -> String {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_secs()).map_or(i64::MIN, i64::wrapping_neg)
        }
    };
    match x509_parser::time::ASN1Time::from_timestamp(seconds) {
        Ok(time) => {
            let time = time.to_datetime();
            format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute())
        }
        Err(_) => format!("{seconds} s since 1970"),
    }
}

/// A duration in the unit that says most.
pub(super) fn long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        // To the nearest: a year that is short of a second is a year.
        _ => format!("{} days", (seconds + 43_200) / 86_400),
    }
}
