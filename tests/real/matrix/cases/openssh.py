"""OpenSSH through SOCKS5, through CONNECT and through a forwarded port."""

import hashlib
import secrets

from ..check import PATIENCE, same
from ..lab import CLIENT_ONLY
from ..program import run
from ..registry import case
from ..setups import BASE

SIZE = 50 << 20


def through(lab, way):
    """What tells ssh, scp and sftp how to reach the server: (options, port option's value, host)."""
    sshd = lab.targets.get("ssh")
    if way == "forward":
        return [*sshd.options(), "-o", f"Port={lab.forwards['ssh']}"], "127.0.0.1"
    kind, ingress = {"socks5": ("socks5", "socks5"), "connect": ("http", "http")}[way]
    proxy = (
        f"ncat --proxy-type {kind} --proxy-auth demo:{lab.password} --proxy-dns remote "
        f"--proxy 127.0.0.1:{lab.ports[ingress]} %h %p"
    )
    return [*sshd.options(), "-o", f"Port={sshd.port}", "-o", f"ProxyCommand={proxy}"], CLIENT_ONLY


def ssh(lab, way, command, stdin=None):
    options, host = through(lab, way)
    code, out, err = run(["ssh", *options, f"root@{host}", command], stdin, patience=4 * PATIENCE)
    same(f"ssh: {err.strip()[-300:]}", code, 0)
    return out


def session(lab, way):
    """A command, 50 MiB up and down, and an exit status that comes back."""
    same("command", ssh(lab, way, "echo hello; echo oops >&2"), b"hello\n")
    data = secrets.token_bytes(SIZE)
    digest = hashlib.sha256(data).hexdigest()
    same("SHA-256 up", ssh(lab, way, "sha256sum", data).split()[0].decode(), digest)
    down = ssh(lab, way, f"head -c {SIZE} {lab.bench.file}")
    with open(lab.bench.file, "rb") as file:
        same("bytes down", down == file.read(SIZE), True)
    options, host = through(lab, way)
    code, _, _ = run(["ssh", *options, f"root@{host}", "exit 7"])
    same("exit status", code, 7)


def copies(lab, way):
    """A round trip by scp and one by sftp."""
    options, host = through(lab, way)
    name = f"{lab.transport}-{way}"
    far, near = lab.dir / f"far-{name}", lab.dir / f"near-{name}"
    for words in ([lab.bench.small, f"root@{host}:{far}"], [f"root@{host}:{far}", near]):
        code, _, err = run(["scp", "-q", *options, *words], patience=4 * PATIENCE)
        same(f"scp: {err.strip()[-300:]}", code, 0)
    same("SHA-256 by scp", sum_of(near), lab.bench.small_sum)
    script = f"put {lab.bench.small} {far}2\nget {far}2 {near}2\nrm {far}2\n"
    code, _, err = run(["sftp", "-q", *options, "-b", "-", f"root@{host}"], script.encode(), patience=4 * PATIENCE)
    same(f"sftp: {err.strip()[-300:]}", code, 0)
    same("SHA-256 by sftp", sum_of(f"{near}2"), lab.bench.small_sum)
    for path in (far, near, f"{near}2"):
        (lab.dir / path).unlink()


def sum_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


for each in ("socks5", "connect", "forward"):
    case(f"ssh-{each}", setup=BASE)(lambda lab, way=each: session(lab, way))
    case(f"scp-sftp-{each}", setup=BASE)(lambda lab, way=each: copies(lab, way))
