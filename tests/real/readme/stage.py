"""Two machines that are directories, private web servers, and the commands that run there."""

import functools
import http.server
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from commands import PAGE

# A command that waits for another, and one that compiles.
PATIENCE, LONG = 60, 3600
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What a person copies from one machine to the other, and how it is written on the page.
COPIED = {"apj1_…": re.compile(r"apj1_[\w-]+"), "sha256:…": re.compile(r"sha256:[\w+/=-]+")}

# Takes the place of cargo where the program is there already.
STAND_IN = """#!/bin/sh
case $1 in
run) while [ "$1" != -- ]; do shift; done && shift && exec anyproxy "$@" ;;
build | install) echo "cargo $*: the program is there already" ;;
*) exit 1 ;;
esac
"""


class Pages(http.server.BaseHTTPRequestHandler):
    """A private web server."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_):
        pass


class Running:
    """A command at a terminal."""

    def __init__(self, line, directory, environment):
        self.output = ""
        leader, terminal = pty.openpty()
        self.process = subprocess.Popen(
            ["bash", "-c", line],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.reader = threading.Thread(target=self.read, args=[leader], daemon=True)
        self.reader.start()

    def read(self, leader):
        with open(leader, "rb", buffering=0) as source:
            try:
                while piece := source.read(65536):
                    self.output += COLOUR.sub("", piece.decode(errors="replace"))
            except OSError:
                # What a terminal says when nobody has it open any more.
                pass

    def end(self):
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(timeout=20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass


class Stage:
    """Where one scene plays."""

    def __init__(self, root, directory):
        self.root, self.running, self.copied = root, [], {}
        self.home = pathlib.Path(tempfile.mkdtemp(dir=directory))
        self.private = self.home / "private"
        for name in ("private", "bin", "run"):
            (self.home / name).mkdir(mode=0o700)
        program = os.environ.get("ANYPROXY")
        (self.home / "bin/anyproxy").symlink_to(pathlib.Path(program or root / "target/release/anyproxy").resolve())
        if program:
            (self.home / "bin/cargo").write_text(STAND_IN)
            (self.home / "bin/cargo").chmod(0o755)
            (root / "target/release").mkdir(parents=True, exist_ok=True)
            if not (root / "target/release/anyproxy").exists():
                shutil.copy(program, root / "target/release/anyproxy")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANYPROXY")},
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "CARGO_INSTALL_ROOT": f"{self.home}/installed",
            # There is no network; what is compiled is here already.
            "CARGO_NET_OFFLINE": "true",
            "XDG_STATE_HOME": f"{self.home}/state",
            "XDG_RUNTIME_DIR": f"{self.home}/run",
            "PRIVATE": str(self.private),
        }

    def __enter__(self):
        self.servers = [http.server.ThreadingHTTPServer(("", port), Pages) for port in (80, 3000)]
        for server in self.servers:
            threading.Thread(target=functools.partial(server.serve_forever, 0.1), daemon=True).start()
        return self

    def __exit__(self, *_):
        for running in reversed(self.running):
            running.end()
        for server in self.servers:
            server.shutdown()
            server.server_close()
        # What it made in the tree.
        for each in ("certs", "configs/anyproxy-data"):
            for path in (self.root / each).glob("*"):
                if path.name not in ("README.md", ".gitignore"):
                    path.unlink()

    def play(self, step):
        line = step.line
        for written, value in self.copied.items():
            line = line.replace(written, value)
        directory = self.private if step.private else self.root
        deadline = time.monotonic() + (LONG if step.line.startswith("cargo ") else PATIENCE)
        (self.stay if step.stays else self.finish)(step, line, directory, deadline)
        print(f"{'private' if step.private else 'public':8}% {step.line}", flush=True)

    def start(self, line, directory):
        self.running.append(Running(line, directory, self.environment))
        return self.running[-1]

    def stay(self, step, line, directory, deadline):
        running = self.start(line, directory)
        while not re.search(step.prints, running.output):
            if running.process.poll() is not None or time.monotonic() > deadline:
                self.fail(step, running.output)
            time.sleep(0.05)
        self.copy(running.output)

    def finish(self, step, line, directory, deadline):
        """Again until the time is over: a port or a session may take a moment after its command is there."""
        while True:
            running = self.start(line, directory)
            try:
                running.process.wait(timeout=max(1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.fail(step, running.output)
            running.reader.join(timeout=5)
            if running.process.returncode == 0 and re.search(step.prints, running.output):
                break
            if time.monotonic() > deadline:
                self.fail(step, running.output)
            time.sleep(0.2)
        self.copy(running.output)

    def copy(self, output):
        for written, pattern in COPIED.items():
            if found := pattern.search(output):
                self.copied[written] = found.group()

    def fail(self, step, output):
        print(f"FAILED: {step.line}\n{output}", file=sys.stderr)
        for other in self.running:
            print(f"--- {other.process.args[-1]}\n{other.output[-2000:]}", file=sys.stderr)
        sys.exit(1)
