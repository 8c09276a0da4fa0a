"""Programs that the matrix starts, and no others: each has its own process group and log, and is
ended with the lab that it belongs to."""

import json
import os
import signal
import subprocess
from pathlib import Path

from .check import PATIENCE, fail, until


class Program:
    """A program that runs until `stop`. What it prints goes to one log file."""

    def __init__(self, name, command, directory, env=None, stdin=None):
        self.name = name
        self.log = Path(directory) / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                start_new_session=True,
            )

    def text(self):
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    def wait_for(self, what, probe, patience=PATIENCE):
        """Polls `probe(text)` until it gives something true; fails at once when the program ends."""

        def step():
            if found := probe(self.text()):
                return found
            if self.process.poll() is not None:
                fail(f"{self.name} ended before {what}: {self.last_words()}")
            return None

        return until(f"{self.name}: {what}", step, patience)

    def last_words(self):
        """The end of its log, in one line."""
        return " | ".join(self.text().strip().splitlines()[-6:]) or "it printed nothing"

    def end(self, patience=PATIENCE):
        """Asks it to end; gives its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return fail(f"{self.name} did not end within {patience} s")

    def kill(self):
        """Ends it, and all that it started, at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class AnyProxy(Program):
    """`anyproxy` with its log in JSON."""

    def records(self):
        """The complete lines of its log."""
        lines = self.text().split("\n")[:-1]
        return [json.loads(line, object_pairs_hook=first) for line in lines if line[:1] == "{"]

    def wait_record(self, what, probe, patience=PATIENCE):
        """Waits for a record for which `probe` gives something true, which is returned."""

        def search(_):
            return next((found for record in self.records() if (found := probe(record))), None)

        return self.wait_for(what, search, patience)

    def complaints(self):
        """What it logged as an error."""
        return [record["message"] for record in self.records() if record["level"] == "ERROR"]


def first(pairs):
    """Of two fields with one name, the first: the event's own comes before the log's."""
    record = {}
    for key, value in pairs:
        record.setdefault(key, value)
    return record


def run(command, stdin=None, env=None, patience=PATIENCE):
    """Runs a command to its end. `stdin` is bytes. Gives (exit code, standard output, standard error)."""
    with subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if env is None else {**os.environ, **env},
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(stdin, timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            _, err = process.communicate()
            fail(f"{command[0]} did not end within {patience} s: {err.decode(errors='replace')[-300:]}")
    return process.returncode, out, err.decode(errors="replace")
