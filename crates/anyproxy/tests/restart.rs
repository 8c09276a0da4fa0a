//! The gateway ends and starts again: killed, and under a service manager that holds its sockets.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[allow(dead_code, reason = "shared with other tests")]
mod program;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use program::{Directory, Running, ask, echo};

fn login(dir: &Directory) -> String {
    let secret = fs::read_to_string(dir.path("certs/demo.secret")).unwrap();
    format!("demo:{}", secret.trim_end())
}

/// A target that sends without end.
fn endless() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || while stream.write_all(&[7; 1024]).is_ok() {});
        }
    });
    addr
}

/// Nothing tells the client that its gateway was killed. Over QUIC it is the new gateway that does, at the first packet
/// that is not its own; silence would be noticed after half a minute only.
fn a_killed_gateway_is_missed_as_soon_as_it_is_back(transport: &str, reason: &str) {
    let dir = Directory::new();
    let mut gateway = Running::gateway(&dir, &[]);
    let at = gateway.address("tunnels=").to_string();
    let mut client = Running::client_trusting(&dir, &gateway, ("a", "certs/ca.crt"), transport);
    gateway.wait_for("session up");
    let (status, mut download) = gateway.open(&login(&dir), endless());
    assert_eq!(status, 200);
    download.read_exact(&mut [0; 1 << 16]).unwrap();
    // The tunnel is under way when the gateway dies.
    let reading = thread::spawn(move || std::io::copy(&mut download, &mut std::io::sink()));
    gateway.kill();
    let mut gateway = Running::gateway(&dir, &["--listen", &at]);
    client.wait_for(reason);
    gateway.wait_for("session up");
    assert_eq!(gateway.connect(&login(&dir), echo()), 200);
    // The user saw the end of the connection when the gateway died.
    let _cut = reading.join().unwrap();
    client.end();
    gateway.end();
}

#[test]
fn a_killed_gateway_is_missed_as_soon_as_it_is_back_over_quic() {
    let reason = "the peer does not know this tunnel (it was restarted)";
    a_killed_gateway_is_missed_as_soon_as_it_is_back("quic", reason);
}

#[test]
fn a_killed_gateway_is_missed_as_soon_as_it_is_back_over_websocket() {
    a_killed_gateway_is_missed_as_soon_as_it_is_back("ws", "the session ended");
}

/// What a service manager does: it holds the sockets, starts services with them, and hears how they are.
struct Manager {
    http: TcpListener,
    tunnels: UdpSocket,
    told: UnixDatagram,
}

impl Manager {
    fn new(dir: &Directory) -> Self {
        let told = UnixDatagram::bind(dir.path("notify")).unwrap();
        told.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self {
            http: TcpListener::bind("127.0.0.1:0").unwrap(),
            tunnels: UdpSocket::bind("127.0.0.1:0").unwrap(),
            told,
        }
    }

    fn http(&self) -> SocketAddr {
        self.http.local_addr().unwrap()
    }

    /// A gateway with the sockets as its descriptors 3 and 4.
    fn start(&self, dir: &Directory) -> Running {
        let anyproxy = dir.command(&[]);
        let script = "exec 3<&0 4<&1 1>/dev/null 0</dev/null; \
                      LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=http:tunnels exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(anyproxy.get_program());
        command.args(["gateway", "--config", "gateway.toml", "--http", &self.http().to_string()]);
        command.args(["--transport", "quic"]);
        command.args(["--listen", &self.tunnels.local_addr().unwrap().to_string()]);
        for (name, value) in anyproxy.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(dir.path("")).env("NOTIFY_SOCKET", dir.path("notify"));
        command.env("WATCHDOG_USEC", "60000000").env_remove("WATCHDOG_PID");
        command.stdin(OwnedFd::from(self.http.try_clone().unwrap()));
        command.stdout(OwnedFd::from(self.tunnels.try_clone().unwrap()));
        command.stderr(Stdio::piped());
        let mut gateway = Running::of(command);
        gateway.wait_for("HTTP proxy started");
        gateway
    }

    /// Waits until the service says `word`.
    fn hears(&self, word: &str) -> String {
        loop {
            let mut bytes = [0; 512];
            let length = self.told.recv(&mut bytes).unwrap();
            let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
            if text.contains(word) {
                return text;
            }
        }
    }
}

#[test]
fn nobody_is_refused_while_a_gateway_restarts_under_a_service_manager() {
    let dir = Directory::new();
    let target = echo();
    let manager = Manager::new(&dir);
    let mut gateway = manager.start(&dir);
    manager.hears("READY=1");
    manager.hears("WATCHDOG=1");
    let mut client = Running::client_trusting(&dir, &gateway, ("a", "certs/ca.crt"), "quic");
    gateway.wait_for("session up");
    assert_eq!(gateway.connect(&login(&dir), target), 200);

    gateway.signal("-HUP");
    // Type=notify-reload needs the time with it.
    assert!(manager.hears("RELOADING=1").contains("MONOTONIC_USEC="));
    manager.hears("READY=1");
    let log = gateway.end();
    assert!(manager.hears("STOPPING=1").contains("EXTEND_TIMEOUT_USEC=20000000"));
    assert!(!log.contains("nothing is configured to listen at"), "{log}");

    // There is no gateway, and yet the user gets through to the kernel, and waits.
    let early = TcpStream::connect(manager.http()).unwrap();
    let mut gateway = manager.start(&dir);
    manager.hears("READY=1");
    gateway.wait_for("session up");
    assert_eq!(ask(early, &login(&dir), target).0, 200);
    client.end();
    gateway.end();
}
