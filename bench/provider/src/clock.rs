//! Wall-clock and CPU time of this process (Linux only).

use std::time::Instant;

use crate::Result;

/// Unit of the CPU times in `/proc/self/stat`: clock ticks per second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Wall-clock and CPU time of the process since `start`, in seconds.
pub struct Stopwatch {
    wall: Instant,
    cpu: f64,
}

impl Stopwatch {
    pub fn start() -> Result<Self> {
        Ok(Self { cpu: process_cpu_seconds()?, wall: Instant::now() })
    }

    /// Wall-clock and CPU seconds since the start.
    pub fn stop(self) -> Result<(f64, f64)> {
        let wall = self.wall.elapsed().as_secs_f64();
        Ok((wall, process_cpu_seconds()? - self.cpu))
    }
}

/// User plus system time of this process so far, in seconds.
fn process_cpu_seconds() -> Result<f64> {
    Ok(parse_cpu_ticks(&std::fs::read_to_string("/proc/self/stat")?)? as f64 / TICKS_PER_SECOND)
}

/// Adds utime and stime (fields 14 and 15) of a `/proc/PID/stat` line, in ticks.
fn parse_cpu_ticks(stat: &str) -> Result<u64> {
    let (_, after_name) = stat.rsplit_once(')').ok_or("no process name in stat")?;
    let mut times = after_name.split_whitespace().skip(11);
    let mut next = || -> Result<u64> { Ok(times.next().ok_or("stat line too short")?.parse()?) };
    Ok(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::parse_cpu_ticks;

    #[test]
    fn adds_user_and_system_ticks_after_a_name_with_spaces() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 90 0 0 0 120 34 0 0 20 0";
        assert_eq!(parse_cpu_ticks(stat).unwrap(), 154);
    }

    #[test]
    fn rejects_a_short_line() {
        assert!(parse_cpu_ticks("7 (a) S 1 7").is_err());
    }
}
