"""The two sides of one entry, running, and a service behind them.

Site A is where visitors come in, site B is where the service is. An entry makes

    A tcp 127.0.0.1:VISITORS  ->  B tcp 127.0.0.1:SERVICE
    A udp 127.0.0.1:DATAGRAMS ->  B udp 127.0.0.1:SERVICE_DATAGRAMS     if it carries datagrams
"""

import json
import os
import subprocess
import time

from . import programs
from .process import Process, command, find

VISITORS, DATAGRAMS = 15101, 15102
SERVICE, SERVICE_DATAGRAMS = 5101, 5102
TUNNEL = 16101
SECRET = "a-secret-for-the-bench-0123456789"


class Failed(RuntimeError):
    """A measurement that did not come to a result; the text says why."""


class Pair:
    def __init__(self, entry, network, certificates, directory, service="loadgen"):
        self.entry, self.network, self.certificates, self.directory = entry, network, certificates, directory
        self.sides = {"A": [], "B": []}
        self.service = None
        os.makedirs(directory)
        try:
            self._serve(service)
            entry.start(self)
            self._await_visitors(service)
        except BaseException:
            self.close()
            raise

    # What entries use.

    @property
    def a_address(self):
        return self.network.a_address

    @property
    def b_address(self):
        return self.network.b_address

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "w", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path

    def spawn(self, side, *argv, env=None):
        path = find(argv[0])
        if not path:
            raise Failed(f"{argv[0]} is absent")
        log = os.path.join(self.directory, f"{side}{len(self.sides[side])}.log")
        process = Process(self._namespace(side), [path, *argv[1:]], log, env)
        self.sides[side].append(process)
        return process

    def await_port(self, side, port, seconds=10):
        """Until something listens on a port, TCP or UDP."""
        self._until(lambda: f":{port} " in command("ip", "netns", "exec", self._namespace(side), "ss", "-Hltun"),
                    seconds, f"nothing listens on port {port} of {side}")

    # What measures use.

    @property
    def to(self):
        return f"{self.host}:{self.port}"

    @property
    def host(self):
        return self.b_address if self.entry.direct else "127.0.0.1"

    @property
    def port(self):
        return SERVICE if self.entry.direct else VISITORS

    @property
    def to_datagrams(self):
        return f"{self.host}:{SERVICE_DATAGRAMS if self.entry.direct else DATAGRAMS}"

    @property
    def processes(self):
        return self.sides["A"] + self.sides["B"]

    def memory_mib(self):
        return sum(process.memory_kib() for process in self.processes) / 1024

    def cpu_seconds(self, side):
        return sum(process.cpu_seconds() for process in self.sides[side])

    def visitor(self, *words, to=None, seconds=60):
        """Runs loadgen at A to its end and returns its numbers."""
        argv = ["ip", "netns", "exec", self.network.a, programs.built("loadgen"), *map(str, words),
                "--to", to or self.to]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{words[0]} took longer than {seconds} s") from None
        if done.returncode:
            raise Failed(f"{words[0]}: {done.stderr.strip()[-200:]}")
        return json.loads(done.stdout)

    def resident(self, *words, seconds=60):
        """Starts a loadgen that stays until its standard input is closed. Returns it and its numbers."""
        log = os.path.join(self.directory, "resident.log")
        argv = [programs.built("loadgen"), *map(str, words), "--to", self.to]
        process = Process(self.network.a, argv, log, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        timer = time.monotonic() + seconds
        line = b""
        os.set_blocking(process.handle.stdout.fileno(), False)
        while not line.endswith(b"\n"):
            line += process.handle.stdout.read() or b""
            if time.monotonic() > timer or not (process.alive() or line.endswith(b"\n")):
                process.kill()
                raise Failed(f"{words[0]}: {process.said() or 'no answer in time'}")
            time.sleep(0.01)
        return process, json.loads(line)

    def close(self):
        for process in [*self.processes, *([self.service] if self.service else [])]:
            process.kill()

    # Inside.

    def _namespace(self, side):
        return self.network.a if side == "A" else self.network.b

    def _serve(self, service):
        everywhere = "0.0.0.0" if self.network.shaped else "127.0.0.1"
        argv = {"loadgen": [programs.built("loadgen"), "serve", "--tcp", f"{everywhere}:{SERVICE}",
                            "--udp", f"{everywhere}:{SERVICE_DATAGRAMS}"],
                "iperf3": ["iperf3", "-s", "-p", str(SERVICE)]}[service]
        self.service = Process(self.network.b, argv, os.path.join(self.directory, "service.log"))
        self.await_port("B", SERVICE)

    def _await_visitors(self, service):
        if service == "iperf3":
            # It takes one visitor at a time and answers only its like, so a try is a short run of it.
            words = ["iperf3", "-c", self.host, "-p", str(self.port), "-n", "64K", "--connect-timeout", "2000"]
        else:
            words = [programs.built("loadgen"), "pingpong", "--seconds", "0", "--to", self.to]
        argv = ["ip", "netns", "exec", self.network.a, *words]

        def answered():
            for process in self.processes:
                if not process.alive():
                    raise Failed(f"{self.entry.name} ended: {process.said()}")
            try:
                return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, timeout=12).returncode == 0
            except subprocess.TimeoutExpired:
                return False
        self._until(answered, 30, f"no visitor of {self.entry.name} got through")

    def _until(self, condition, seconds, complaint):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                logs = " | ".join(process.said() for process in self.processes)
                raise Failed(f"{complaint}: {logs}")
            time.sleep(0.05)
