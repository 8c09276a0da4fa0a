//! The far end of a measurement.
//!
//! ```text
//! bench ── MAGIC | 'd' | length ──▶ target      ◀── MAGIC | length bytes of the pattern | FIN
//!       ── MAGIC | 'u' | length | bytes ──▶     ◀── MAGIC | first wrong byte, or length
//!       ── MAGIC | 'e' | 0 | anything ──▶       ◀── MAGIC | the same
//! ```

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyproxy_runtime::{Deadline, Scope};
use anyproxy_transport::net::{Conn, Net, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Semaphore,
};

/// Both ends begin with it, so that each knows whom it speaks to.
pub(super) const MAGIC: &[u8; 8] = b"apbench1";
/// Sends so many bytes.
pub(super) const DOWN: u8 = b'd';
/// Takes so many bytes.
pub(super) const UP: u8 = b'u';
/// Sends back what comes.
pub(super) const ECHO: u8 = b'e';

/// Length of the pattern. It is prime, so that a block which is lost, repeated or moved shows.
const PERIOD: usize = 65_521;
/// Connections served at once.
const AT_ONCE: usize = 1_024;
/// No single read or write takes longer on a path that works.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Serves on `addr` until `scope` is cancelled; says where.
pub(super) fn start(net: &dyn Net, addr: SocketAddr, scope: &Scope) -> io::Result<SocketAddr> {
    let listener = net.listen(addr)?;
    let bound = listener.local_addr()?;
    let connections = scope.clone();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    scope.spawn("bench target", async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept(Role::Proxied).await {
                Ok((conn, peer)) => connections.spawn("bench connection", async move {
                    let _place = place;
                    if let Err(error) = serve(conn).await {
                        tracing::debug!(%peer, %error, "bench target");
                    }
                }),
                // Out of descriptors, say: the others go on meanwhile.
                Err(_) => Deadline::after(Duration::from_millis(100)).passed().await,
            }
        }
    });
    Ok(bound)
}

async fn serve(mut conn: Conn) -> io::Result<()> {
    let mut head = [0; 17];
    within(conn.read_exact(&mut head)).await?;
    let [magic @ .., _, _, _, _, _, _, _, _, _] = &head;
    if magic != MAGIC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let [_, _, _, _, _, _, _, _, what, length @ ..] = head;
    let length = u64::from_be_bytes(length);
    within(conn.write_all(MAGIC)).await?;
    match what {
        DOWN => send(&mut conn, length, |_| {}).await?,
        UP => {
            let right = receive(&mut conn, length, |_| {}).await?;
            within(conn.write_all(&right.to_be_bytes())).await?;
        }
        ECHO => echo(&mut conn).await?,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    }
    within(conn.shutdown()).await
}

/// Sends back what comes, until the other end has no more.
async fn echo(conn: &mut Conn) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    loop {
        let read = within(conn.read(&mut buffer)).await?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        within(conn.write_all(bytes)).await?;
    }
}

/// Sends `length` bytes of the pattern.
pub(super) async fn send(conn: &mut Conn, length: u64, moved: impl Fn(u64)) -> io::Result<()> {
    let pattern = pattern();
    let mut left = length;
    while left > 0 {
        let some = usize::try_from(left).unwrap_or(usize::MAX).min(PERIOD);
        within(conn.write_all(pattern.get(..some).unwrap_or_default())).await?;
        let some = u64::try_from(some).unwrap_or(u64::MAX);
        left = left.saturating_sub(some);
        moved(some);
    }
    Ok(())
}

/// Reads `length` bytes of the pattern; says which was the first wrong or missing one, else `length`.
pub(super) async fn receive(conn: &mut Conn, length: u64, moved: impl Fn(u64)) -> io::Result<u64> {
    let pattern = pattern();
    let mut buffer = vec![0; PERIOD];
    let (mut got, mut at) = (0_u64, 0_usize);
    while got < length {
        let left = usize::try_from(length.saturating_sub(got)).unwrap_or(usize::MAX);
        // Up to the end of the pattern, so that one comparison will do.
        let room = PERIOD.saturating_sub(at).min(left);
        let read = within(conn.read(buffer.get_mut(..room).unwrap_or_default())).await?;
        let (bytes, expected) = (buffer.get(..read), pattern.get(at..at.saturating_add(read)));
        if read == 0 || bytes != expected {
            return Ok(got);
        }
        let some = u64::try_from(read).unwrap_or(u64::MAX);
        got = got.saturating_add(some);
        at = at.saturating_add(read).checked_rem(PERIOD).unwrap_or(0);
        moved(some);
    }
    Ok(got)
}

/// Bytes that nothing can compress away (xorshift, Marsaglia 2003).
fn pattern() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(PERIOD).collect()
}

/// One step of a transfer.
pub(super) async fn within<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let timed_out = |_| Err(io::ErrorKind::TimedOut.into());
    Deadline::after(PATIENCE).bound(step).await.unwrap_or_else(timed_out)
}
