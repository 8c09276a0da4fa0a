"""Our own processes, users and targets: what they print goes to the ledger."""

import json
import subprocess
import sys
import threading


class Helper:
    """A module of this package that runs in a namespace."""

    def __init__(self, module, inside, sink, *arguments, environment=None):
        self.name = module
        self.sink = sink
        self.process = subprocess.Popen(
            [*inside, sys.executable, "-m", f"soak.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.sink(json.loads(line))

    def say(self, word):
        """Tells it something."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def check(self):
        """Without it nothing is tested."""
        if self.process.poll() is not None:
            raise RuntimeError(f"soak.{self.name} ended with {self.process.returncode}")

    def end(self):
        """Ends it."""
        self.process.kill()
        self.process.wait(10)
        self.thread.join(10)
