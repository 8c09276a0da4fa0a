//! Whether a download comes through byte for byte, to a reader that may rest in the middle.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::args::Args;
use crate::wire::{self, Operation};
use crate::{Outcome, output};

const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(args: &Args) -> Outcome {
    let length = args.or("mib", 64_u64)? << 20;
    let rest = Duration::from_millis(args.or("rest-ms", 0)?);
    let operation = match args.or("ending", "orderly".to_owned())?.as_str() {
        "orderly" => Operation::Source,
        "at-once" => Operation::SourceThenGone,
        other => return Err(format!("--ending {other}: orderly or at-once").into()),
    };
    let mut stream = TcpStream::connect_timeout(&args.to()?, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&operation.opening(length))?;
    let mut check = Check::default();
    let ending = check.read(&mut stream, length / 8, rest);
    let whole =
        check.received == length && check.wrong_at.is_none() && matches!(ending, Ending::Closed);
    output::print(&[
        ("whole", Some(f64::from(u8::from(whole)))),
        ("received", Some(check.received as f64)),
        ("wrong_at", check.wrong_at.map(|at| at as f64)),
        ("hung", Some(f64::from(u8::from(matches!(ending, Ending::Hung))))),
        ("reset", Some(f64::from(u8::from(matches!(ending, Ending::Failed))))),
    ])?;
    Ok(())
}

enum Ending {
    Closed,
    Hung,
    Failed,
}

#[derive(Default)]
struct Check {
    received: u64,
    wrong_at: Option<u64>,
}

impl Check {
    /// Rests once, after `rest_at` bytes.
    fn read(&mut self, stream: &mut TcpStream, rest_at: u64, rest: Duration) -> Ending {
        let mut got = vec![0; 64 * 1024];
        let mut expected = got.clone();
        let mut rested = rest.is_zero();
        loop {
            match stream.read(&mut got) {
                Ok(0) => return Ending::Closed,
                Ok(count) => self.compare(&got[..count], &mut expected[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Ending::Hung;
                }
                Err(_) => return Ending::Failed,
            }
            if !rested && self.received >= rest_at {
                std::thread::sleep(rest);
                rested = true;
            }
        }
    }

    fn compare(&mut self, got: &[u8], expected: &mut [u8]) {
        wire::pattern(self.received, expected);
        if self.wrong_at.is_none()
            && let Some(place) = got.iter().zip(expected.iter()).position(|(a, b)| a != b)
        {
            self.wrong_at = Some(self.received + place as u64);
        }
        self.received += got.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_found() {
        let mut sent = vec![0; 1000];
        wire::pattern(0, &mut sent);
        sent[700] ^= 1;
        let mut check = Check::default();
        let mut expected = vec![0; 1000];
        check.compare(&sent[..600], &mut expected[..600]);
        assert_eq!(check.wrong_at, None);
        check.compare(&sent[600..], &mut expected[..400]);
        assert_eq!((check.wrong_at, check.received), (Some(700), 1000));
    }
}
