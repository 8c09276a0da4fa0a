"""A gateway in one network namespace, a client's machine in another, and what doctor says there."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from faults.net import CLIENT, GATEWAY, GATEWAY_IP
from matrix.check import fail, same
from matrix.program import AnyProxy, Program, run

TUNNELS, HTTP, FORWARDED = 8443, 8088, 8000
# Doctor ends within 20 s; much more is a fault of its own.
PATIENCE = 40
QUIET = {"NO_COLOR": "1", **{name: "" for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")}}


@dataclass
class Report:
    """What doctor printed, and its exit code."""

    code: int
    text: str
    json: dict

    def found(self, check):
        """All that it says of a check."""
        return [each for each in self.json["checks"] if each["check"] == check]


class Clinic:
    """One set-up."""

    def __init__(self, program, net, directory):
        self.program, self.net, self.dir = program, net, directory
        self.stack = ExitStack()
        self.certs = directory / "certs"
        self.make_certificates()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def make_certificates(self):
        self.anyproxy("certs", "--dir", self.certs, "--name", GATEWAY_IP, "--group", "demo")

    def anyproxy(self, *words):
        """A command that must succeed; what it prints."""
        code, out, err = run([self.program, *words])
        same(f"anyproxy {words[0]}: {err}", code, 0)
        return out.decode()

    def pin(self):
        """What `anyproxy certs` prints as the pin."""
        words = self.anyproxy("certs", "--dir", self.certs).split()
        return next(word for word in words if word.startswith("sha256:"))

    def start_gateway(self):
        command = [self.program, "gateway", "--config", self.gateway_file(), "--log-format", "json"]
        gateway = AnyProxy("gateway", [*self.net.inside(GATEWAY), *command], self.dir)
        self.stack.callback(gateway.kill)
        gateway.wait_record("it listens", lambda record: record.get("tunnels"))

    def start(self, name, place, words, ready):
        """Some other program; ready when its port is taken."""
        program = Program(name, [*self.net.inside(place), *words], self.dir)
        self.stack.callback(program.kill)
        listens = [*self.net.inside(place), "ss", "-ltnuH", f"sport = :{ready}"]
        program.wait_for("it listens", lambda _: run(listens)[1].strip())
        return program.process.pid

    def gateway_file(self):
        path = self.dir / "gateway.toml"
        path.write_text(f"""
listen = "0.0.0.0:{TUNNELS}"
certificate = "{self.certs / "gateway.crt"}"
key = "{self.certs / "gateway.key"}"
http = "127.0.0.1:{HTTP}"
socks5 = "off"
status_socket = "{self.dir / "gateway.sock"}"
[[group]]
name = "demo"
secret_file = "{self.certs / "demo.secret"}"
forwards = ["{FORWARDED}"]
""")
        return path

    def of_client(self, *words, trust=None, secret=None, before=(), env=None):
        """Doctor at the client's machine."""
        trust = trust or ["--ca", self.certs / "ca.crt"]
        secret = secret or self.certs / "demo.secret"
        known = ["--gateway", f"{GATEWAY_IP}:{TUNNELS}", "--group", "demo", "--secret-file", secret]
        return self.ask(CLIENT, ["client", *known, *trust, *words], before, env)

    def of_gateway(self):
        """Doctor at the gateway's machine."""
        return self.ask(GATEWAY, ["gateway", "--config", self.gateway_file()], (), None)

    def ask(self, place, words, before, env):
        """In lines and in JSON, at the same time."""
        command = [*self.net.inside(place), *before, self.program, "doctor", *words]
        environment = {**os.environ, **QUIET, **(env or {})}

        def once(more):
            return subprocess.run(
                [str(word) for word in [*command, *more]],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False,
            )  # fmt: skip

        # Two at a gateway would find each other at its ports.
        with ThreadPoolExecutor(2 if place == CLIENT else 1) as both:
            lines, objects = both.map(once, [[], ["--json"]])
        same("the exit code with and without --json", objects.returncode, lines.returncode)
        try:
            return Report(lines.returncode, lines.stdout, json.loads(objects.stdout))
        except ValueError:
            return fail(f"--json: {objects.stdout[:300]!r} {objects.stderr[:300]!r}")
