//! The program in a directory of its own, as commands that end and as services that run.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

/// A directory with certificates, a secret, and a gateway's configuration that has the group `demo`.
pub(crate) struct Directory(TempDir);

/// What a command that has ended left.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Directory {
    pub(crate) fn new() -> Self {
        let dir = Self(TempDir::new().unwrap());
        assert_eq!(dir.run(&["certs", "--group", "demo"], "").code, 0);
        let config = "listen = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nsocks5 = \"off\"\n\
                      certificate = \"certs/gateway.crt\"\nkey = \"certs/gateway.key\"\n\
                      [[group]]\nname = \"demo\"\nsecret_file = \"certs/demo.secret\"\n\
                      forwards = [\"8000-8009\"]\n";
        fs::write(dir.path("gateway.toml"), config).unwrap();
        dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, line: &[&str]) -> Command {
        self.prepared(Command::new(env!("CARGO_BIN_EXE_anyproxy")), line)
    }

    fn prepared(&self, mut command: Command, line: &[&str]) -> Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANYPROXY_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.args(line).current_dir(self.0.path());
        // Where its status socket is, and nobody else's.
        command.env("XDG_RUNTIME_DIR", self.0.path()).env_remove("RUNTIME_DIRECTORY");
        // Where services without a configuration file keep what they make.
        command.env("XDG_STATE_HOME", self.path("state"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a line of the shell, in which `$0` is the program.
    #[cfg(unix)]
    #[allow(dead_code, reason = "not every test needs a shell")]
    pub(crate) fn shell(&self, line: &str) -> Done {
        let program = env!("CARGO_BIN_EXE_anyproxy");
        Self::finished(self.prepared(Command::new("sh"), &["-c", line, program]), "")
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, line: &[&str], input: &str) -> Done {
        Self::finished(self.command(line), input)
    }

    fn finished(mut command: Command, input: &str) -> Done {
        let mut child = command.spawn().unwrap();
        // It may have ended without reading.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Done {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Runs `anyproxy group … --config gateway.toml`.
    pub(crate) fn group(&self, line: &[&str], input: &str) -> Done {
        self.run(&[&["group"], line, &["--config", "gateway.toml"]].concat(), input)
    }
}

/// How long a line of a log may take: a test that waits for one that never comes has to fail, not hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service that runs.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// Its log, line by line.
    log: Receiver<String>,
    seen: String,
}

impl Running {
    /// A gateway that has started.
    pub(crate) fn gateway(dir: &Directory, flags: &[&str]) -> Self {
        let mut gateway =
            Self::start(dir, &[&["gateway", "--config", "gateway.toml"], flags].concat());
        gateway.wait_for("HTTP proxy started");
        gateway
    }

    /// A client of `group`, with the secret in `GROUP.secret`.
    pub(crate) fn client(dir: &Directory, gateway: &Self, group: &str) -> Self {
        let at = gateway.address("tunnels=").to_string();
        let secret = format!("{group}.secret");
        Self::start(
            dir,
            &[
                "client",
                "-g",
                &at,
                "--ca",
                "certs/ca.crt",
                "--group",
                group,
                "--secret-file",
                &secret,
            ],
        )
    }

    /// A client called `id` of the group `demo`, that trusts `ca`.
    pub(crate) fn client_trusting(
        dir: &Directory,
        gateway: &Self,
        (id, ca): (&str, &str),
        transport: &str,
    ) -> Self {
        Self::of(Self::client_command(dir, gateway, (id, ca), transport))
    }

    /// What starts such a client.
    pub(crate) fn client_command(
        dir: &Directory,
        gateway: &Self,
        (id, ca): (&str, &str),
        transport: &str,
    ) -> Command {
        let at = gateway.address("tunnels=").to_string();
        let secret = ["--group", "demo", "--secret-file", "certs/demo.secret"];
        let line = ["client", "-g", &at, "--ca", ca, "--client-id", id, "--transport", transport];
        dir.command(&[&line[..], &secret].concat())
    }

    /// Sends a signal to the service, `-HUP` for example.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Kills the service as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A service with this command line.
    pub(crate) fn start(dir: &Directory, line: &[&str]) -> Self {
        Self::of(dir.command(line))
    }

    /// What `command` starts.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (lines, log) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _gone = lines.send(line);
            }
        });
        Self { child, log, seen: String::new() }
    }

    /// Waits for a line of the log that has not been waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {text:?} in the log:\n{}", self.seen));
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits until the log has all of these, in any order.
    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) fn wait_for_all(&mut self, texts: &[&str]) {
        while !texts.iter().all(|text| self.seen.contains(text)) {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("not all of {texts:?}:\n{}", self.seen));
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
    }

    /// The address that the log has behind `key`.
    pub(crate) fn address(&self, key: &str) -> SocketAddr {
        let (_, rest) = self.seen.split_once(key).unwrap();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// The status with which the HTTP proxy answers a user who wants to reach `target`.
    pub(crate) fn connect(&self, user: &str, target: SocketAddr) -> u16 {
        self.open(user, target).0
    }

    /// The same, with the connection.
    pub(crate) fn open(&self, user: &str, target: SocketAddr) -> (u16, BufReader<TcpStream>) {
        ask(TcpStream::connect(self.address("http=")).unwrap(), user, target)
    }

    /// The same, with the connection alone, of which nothing was read ahead.
    pub(crate) fn tunnel(&self, user: &str, target: SocketAddr) -> (u16, TcpStream) {
        let (status, conn) = self.open(user, target);
        (status, conn.into_inner())
    }

    /// Ends the service and returns its whole log.
    pub(crate) fn end(&mut self) -> String {
        self.signal("-TERM");
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.seen);
        self.seen.clone()
    }
}

impl Drop for Running {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A target on loopback that accepts whoever comes.
pub(crate) fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    addr
}

/// Asks the HTTP proxy behind `proxy` for a connection to `target`; gives the status and the connection.
pub(crate) fn ask(
    mut proxy: TcpStream,
    user: &str,
    target: SocketAddr,
) -> (u16, BufReader<TcpStream>) {
    let login = STANDARD.encode(user);
    let head = format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: Basic {login}\r\n\r\n"
    );
    proxy.write_all(head.as_bytes()).unwrap();
    let mut proxy = BufReader::new(proxy);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(proxy.read_line(&mut head).unwrap() > 0, "the answer was cut: {head:?}");
    }
    (head.split_whitespace().nth(1).unwrap().parse().unwrap(), proxy)
}
