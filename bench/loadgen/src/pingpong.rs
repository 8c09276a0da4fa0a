//! How long a small message takes there and back, one at a time on a connection that is kept.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::samples::Samples;
use crate::wire::Operation;
use crate::{Outcome, output};

const WARM_UP: Duration = Duration::from_millis(200);
const NO_ANSWER: Duration = Duration::from_secs(10);

pub fn run(args: &Args) -> Outcome {
    let length = args.seconds("seconds", 3.0)?;
    let mut message = vec![0x5a; args.or("size", 64)?];
    let mut stream = TcpStream::connect_timeout(&args.to()?, NO_ANSWER)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(NO_ANSWER))?;
    stream.write_all(&Operation::Echo.opening(0))?;
    let start = Instant::now();
    let mut samples = Samples::default();
    loop {
        let sent = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        let since = start.elapsed();
        if since > WARM_UP {
            samples.push(sent.elapsed());
        }
        if since > WARM_UP + length {
            break;
        }
    }
    output::print(&[
        ("samples", Some(samples.len() as f64)),
        ("p50_us", samples.micros(0.5)),
        ("p99_us", samples.micros(0.99)),
    ])?;
    Ok(())
}
