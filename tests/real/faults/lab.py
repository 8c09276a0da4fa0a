"""What a row gets: a gateway, a client, a target and users in namespaces of their own."""

import hashlib
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from matrix.program import AnyProxy, Program

from .check import fail, same, until
from .net import CLIENT, GATEWAY, GATEWAY_IP, WIRE
from .resources import holding, settled
from .user import LONGEST, Curl, Visitors, whole

HERE = Path(__file__).parent
TUNNELS, HTTP, FORWARDED, TARGET = 8443, 8088, 8000, 9001
UP = "connected to the gateway"
MOVED = ("moved to another tunnel", "back to the earlier tunnel")


class Lab:
    """One row over one transport."""

    def __init__(self, bench, net, transport, directory):
        self.bench, self.net, self.transport, self.dir = bench, net, transport, directory
        self.stack = ExitStack()
        self.gateways = self.clients = 0
        self.before = {}
        self.certs = bench.certs
        self.secret = (self.certs / "demo.secret").read_text().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    ## The programs

    def start(self, *client):
        """Everything, with a tunnel that is up and was used; what that holds is what has to return."""
        self.start_outer()
        self.start_client(*client)
        self.begin()

    def start_outer(self):
        """All but the client."""
        if self.net.wire:
            words = ["python3", HERE / "wire.py", "left", "right", *self.net.wire]
            self.python("wire", WIRE, words, "wired")
        self.python("target", CLIENT, ["python3", HERE / "target.py", self.bench.file, TARGET])
        (self.dir / "gateway.toml").write_text(self.gateway_file())
        self.start_gateway()

    def python(self, name, place, words, ready="listening"):
        """One of our own helpers."""
        words[0] = sys.executable
        program = Program(name, [*self.net.inside(place), *words], self.dir)
        self.stack.callback(program.kill)
        program.wait_for("it is ready", lambda text: ready in text)
        return program

    def start_gateway(self):
        self.gateways += 1
        command = [self.bench.anyproxy, "gateway", "--config", self.dir / "gateway.toml", "--log-format", "json"]
        self.gateway = self.anyproxy(f"gateway-{self.gateways}", GATEWAY, command)
        self.gateway.wait_record("it listens", lambda record: record.get("tunnels"))

    def start_client(self, *words, ca=None, client_id="client", forward=True):
        """Does not wait: what the client sees may be the fault."""
        self.clients += 1
        command = [self.bench.anyproxy, "client", "--log-format", "json"]
        command += ["--gateway", f"{GATEWAY_IP}:{TUNNELS}", "--ca", ca or self.certs / "ca.crt"]
        command += ["--group", "demo", "--client-id", client_id, "--transport", self.transport]
        command += ["--secret-file", self.certs / "demo.secret"]
        if forward:
            command += ["--forward", f"{FORWARDED}:127.0.0.1:{TARGET}"]
        client = self.anyproxy(f"client-{self.clients}", CLIENT, [*command, *words])
        if client_id == "client":
            self.client = client
        return client

    def anyproxy(self, name, place, command):
        program = AnyProxy(name, [*self.net.inside(place), *command], self.dir)
        self.stack.callback(program.kill)
        return program

    def gateway_file(self):
        return f"""
listen = "0.0.0.0:{TUNNELS}"
certificate = "{self.dir / "gateway.crt"}"
key = "{self.dir / "gateway.key"}"
http = "127.0.0.1:{HTTP}"
socks5 = "off"
[[group]]
name = "demo"
secret_file = "{self.certs / "demo.secret"}"
forwards = ["{FORWARDED}"]
"""

    def use_certificates(self, certs):
        """The gateway's files become those of this directory."""
        for name in ("gateway.crt", "gateway.key"):
            whole_file = self.dir / f"{name}.new"
            whole_file.touch(mode=0o600)
            whole_file.write_bytes((certs / name).read_bytes())
            whole_file.rename(self.dir / name)

    ## What the programs say

    def carrier(self):
        """Which transport carries the client's session, by its log."""
        records = self.client.records()
        said = [r["transport"] for r in records if r["message"] == UP or r["message"] in MOVED]
        return said[-1].lower() if said else "none"

    def wait_carrier(self, transport, patience):
        until(f"the session is carried by {transport}", lambda: self.carrier() == transport, patience)

    def sessions(self):
        """How many the client has had."""
        return sum(record["message"] == UP for record in self.client.records())

    def moves(self):
        return sum(record["message"] in MOVED for record in self.client.records())

    def pid(self, program):
        return program.process.pid

    def send(self, program, number):
        program.process.send_signal(number)

    ## The users

    def proxied(self, path, *words, patience=LONGEST):
        """Somebody who goes through the HTTP proxy."""
        proxy = ["--proxytunnel", "-x", f"http://demo:{self.secret}@127.0.0.1:{HTTP}"]
        url = f"http://127.0.0.1:{TARGET}{path}"
        return Curl(self.net.inside(GATEWAY), [*proxy, *words, url], patience)

    def forwarded(self, path, *words, patience=LONGEST):
        """Somebody who goes through the forwarded port."""
        url = f"http://127.0.0.1:{FORWARDED}{path}"
        return Curl(self.net.inside(GATEWAY), [*words, url], patience)

    def slow(self, count, seconds):
        """A download that takes a time, because its target does."""
        return self.proxied(f"/slow/{count}/{seconds}", patience=seconds + 90)

    def visitors(self, start=None):
        come = Visitors(start or (lambda: self.proxied("/hello")))
        self.stack.callback(come.stop)
        return come

    def transfer(self, count, patience=120):
        """A download and an upload, both whole; milliseconds of each."""
        digest = self.bench.digest(count)
        down = self.proxied(f"/bytes/{count}", patience=patience).visit()
        whole("the download", down, digest)
        part = self.dir / f"part-{count}"
        part.write_bytes(self.bench.content[:count])
        up = self.proxied("/", "-T", part, patience=patience).visit()
        part.unlink()
        whole("the upload's digest", up, hashlib.sha256(digest.encode()).hexdigest())
        return down.ms, up.ms

    ## What is held before and after

    def wait_served(self, patience=30):
        """Until a user is served; gives the milliseconds since this call."""
        come = self.visitors()
        since = time.monotonic()
        ms = come.recovered(since, patience)
        come.leave()
        return ms

    def begin(self):
        """Uses the tunnel once, and takes down what the programs hold then."""
        self.wait_served()
        self.transfer(4 << 20)
        same("a user of the forwarded port", str(self.forwarded("/hello").visit()), "200")
        time.sleep(1)
        self.before = self.held()

    def held(self):
        programs = {"gateway": self.gateway, "client": self.client}
        return {name: holding(self.pid(program)) for name, program in programs.items()}

    def after(self):
        """What the programs hold once that is no more than before; fails if that is never."""
        programs = {"gateway": self.gateway, "client": self.client}
        for program in programs.values():
            if program.process.poll() is not None:
                fail(f"{program.name} has ended: {program.last_words()}")
            if "panicked" in program.text():
                fail(f"{program.name} panicked")
        return {name: settled(name, self.pid(program), self.before[name]) for name, program in programs.items()}

    def end(self):
        """Both programs end as a service manager has them end."""
        for program in (self.client, self.gateway):
            same(f"{program.name}'s exit code", program.end(), 0)

    def stop(self, program):
        self.send(program, signal.SIGSTOP)

    def resume(self, program):
        self.send(program, signal.SIGCONT)
