"""The gateway and its clients: their files, their processes and what they log."""

import os
import signal
import subprocess
import time
from pathlib import Path

from . import plan

GATEWAY = """
listen = "0.0.0.0:{tunnel}"
certificate = "certs/gateway.crt"
key = "certs/gateway.key"
http = "0.0.0.0:{http}"
socks5 = "0.0.0.0:{socks5}"
drain = "4s"
[limits]
flow_idle = "8s"
{groups}
"""
GROUP = """
[[group]]
name = "{name}"
secret_file = "certs/{name}.secret"
forwards = ["0.0.0.0:{port}"]
"""
CLIENT = """
gateway = "{gateway}:{tunnel}"
transport = "{name}"
ca = "certs/ca.crt"
server_name = "localhost"
proxy = "off"
group = "{name}"
client_id = "soak"
secret_file = "certs/{name}.secret"
drain = "4s"
[limits]
flow_idle = "8s"
[[forward]]
name = "stream"
listen = "0.0.0.0:{port}"
target = "127.0.0.1:{stream}"
[[forward]]
name = "datagram"
listen = "0.0.0.0:{port}"
target = "127.0.0.1:{stream}"
protocol = "udp"
"""


def write_files(directory, program):
    """Certificates, secrets and settings; gives each group's secret."""
    directory = Path(directory)
    ports = {"tunnel": plan.TUNNEL, "http": plan.HTTP, "socks5": plan.SOCKS5, "stream": plan.STREAM}
    for name in plan.GROUPS:
        certs = [program, "certs", "--dir", directory / "certs", "--group", name]
        subprocess.run(certs, check=True, capture_output=True, timeout=30)
        own = {"name": name, "port": plan.FORWARD[name], "gateway": plan.GATEWAY_FOR[name]}
        (directory / f"{name}.toml").write_text(CLIENT.format(**own, **ports))
    groups = "".join(GROUP.format(name=name, port=plan.FORWARD[name]) for name in plan.GROUPS)
    (directory / "gateway.toml").write_text(GATEWAY.format(groups=groups, **ports))
    return {name: (directory / "certs" / f"{name}.secret").read_text().strip() for name in plan.GROUPS}


class Program:
    """The gateway or a client. Each start is a life of its own; the log goes on."""

    def __init__(self, name, role, directory, inside):
        self.name = name
        self.log = Path(directory) / f"{name}.log"
        self.command = [*inside, os.environ["ANYPROXY"], role, "--config", str(Path(directory) / f"{name}.toml")]
        self.life = 0
        self.process = None
        # Ends of lives that nobody asked for.
        self.deaths = []

    def start(self):
        """Starts it anew."""
        self.life += 1
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ANYPROXY")}
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def send(self, signum):
        """A signal, if it lives."""
        if self.alive():
            self.process.send_signal(signum)

    def alive(self):
        """Whether it runs. One that ended by itself is noted, once."""
        if self.process is None:
            return False
        if (code := self.process.poll()) is not None:
            self.deaths.append(f"{self.name} ended by itself with {code}")
            self.process = None
        return self.process is not None

    def kill(self):
        """Ends it as a crash would."""
        if self.alive():
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def end(self, patience=15):
        """Ends it as a service manager does; gives how long that took, in seconds."""
        began = time.monotonic()
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                code = self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                code = self.process.wait(10)
            if code:
                self.deaths.append(f"{self.name} answered SIGTERM with {code}")
            self.process = None
        return time.monotonic() - began

    def usage(self):
        """Resident memory in bytes, descriptors and threads now; nothing if it does not run."""
        if self.process is None:
            return None
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
            return int(fields["VmRSS"].split()[0]) * 1024, descriptors, int(fields["Threads"])
        except (OSError, KeyError, ValueError):
            return None

    def count(self, words):
        """How many lines of its log have these words."""
        if not self.log.exists():
            return 0
        with open(self.log, errors="replace") as log:
            return sum(words in line for line in log)
