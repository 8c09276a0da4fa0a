"""Targets that are real servers, started by hand on loopback."""

import os
import shutil
import socket
from pathlib import Path

from ..check import PATIENCE, same
from ..lab import free_port
from ..program import Program, run


def which(name):
    """A program's path, sbin included."""
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Started:
    """A server in its own directory, ended with the matrix."""

    def __init__(self, bench, name):
        self.dir = Path(bench.dir) / name
        self.dir.mkdir()
        self.port = free_port()
        self.program = None

    def launch(self, name, command, ready):
        self.program = Program(name, command, self.dir)
        try:
            self.program.wait_for("it is ready", ready)
        except BaseException:
            self.program.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.kill()


class Sshd(Started):
    """OpenSSH with a host key and a user key of its own."""

    def __init__(self, bench):
        super().__init__(bench, "sshd")
        self.dir.chmod(0o700)
        for key in ("host", "user"):
            path = self.dir / key
            code, _, err = run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
            same(f"ssh-keygen: {err}", code, 0)
        shutil.copy(self.dir / "user.pub", self.dir / "authorized_keys")
        Path("/run/sshd").mkdir(exist_ok=True)
        host = (self.dir / "host.pub").read_text().split()[:2]
        (self.dir / "known_hosts").write_text(f"target {' '.join(host)}\n")
        file = self.dir / "sshd_config"
        file.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\n"
            f"HostKey {self.dir / 'host'}\n"
            f"AuthorizedKeysFile {self.dir / 'authorized_keys'}\n"
            f"PidFile {self.dir / 'pid'}\n"
            "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
            "Subsystem sftp internal-sftp\nUseDNS no\n"
        )
        self.launch("sshd", [which("sshd"), "-D", "-e", "-f", file], lambda text: "listening on" in text)

    def options(self):
        """What ssh, scp and sftp need, but for the way to the server."""
        settings = {
            "IdentityFile": self.dir / "user",
            "UserKnownHostsFile": self.dir / "known_hosts",
            "HostKeyAlias": "target",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
        }
        return ["-F", "none", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]


class Iperf(Started):
    def __init__(self, bench):
        super().__init__(bench, "iperf")
        command = ["iperf3", "-s", "-B", "127.0.0.1", "-p", self.port, "--forceflush"]
        self.launch("iperf", command, lambda text: "listening on" in text)


class Haproxy(Started):
    """Answers with the address that the PROXY header names."""

    def __init__(self, bench):
        super().__init__(bench, "haproxy")
        file = self.dir / "haproxy.cfg"
        file.write_text(
            "defaults\n  mode http\n  timeout connect 30s\n  timeout client 30s\n  timeout server 30s\n"
            f"frontend web\n  bind 127.0.0.1:{self.port} accept-proxy\n"
            '  http-request return status 200 content-type text/plain lf-string "%[src] %[dst_port]\\n"\n'
        )
        self.launch("haproxy", [which("haproxy"), "-V", "-db", "-f", file], lambda _: listens(self.port))


class Nginx(Started):
    """The same, of another make."""

    def __init__(self, bench):
        super().__init__(bench, "nginx")
        file = self.dir / "nginx.conf"
        temporary = "".join(
            f"{kind}_temp_path {self.dir / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file.write_text(
            f"daemon off;\nmaster_process off;\npid {self.dir / 'pid'};\nerror_log stderr;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}server {{\n"
            f"listen 127.0.0.1:{self.port} proxy_protocol;\n"
            'location / { return 200 "$proxy_protocol_addr $proxy_protocol_server_port\\n"; }\n}}\n'
        )
        command = [which("nginx"), "-e", "stderr", "-c", file, "-p", self.dir]
        self.launch("nginx", command, lambda _: listens(self.port))


def listens(port):
    """Whether somebody listens on this port of the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True
