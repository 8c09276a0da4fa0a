"""curl, and what it tells."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .check import PATIENCE
from .program import run

CURL = os.environ.get("CURL", "curl")
MARK = "\n@@"


@dataclass
class Answer:
    """What came of one run of curl."""

    exit: int
    body: bytes
    # All response heads, those of the proxy to CONNECT and interim ones among them.
    head: str
    # What curl itself said.
    said: str
    # `--write-out %{json}` of each transfer.
    transfers: list

    @property
    def status(self):
        return self.transfers[-1]["http_code"]

    @property
    def connect_status(self):
        return self.transfers[-1]["http_connect"]

    @property
    def text(self):
        return self.body.decode(errors="replace")

    @property
    def reason(self):
        """For a report: why it failed."""
        return f"curl exit {self.exit}, {self.said.strip()[-300:]!r}"


def curl(*words, stdin=None, patience=4 * PATIENCE):
    """Runs curl; `--next` may separate several transfers on one connection."""
    with tempfile.TemporaryDirectory() as directory:
        head = Path(directory) / "head"
        common = ["-sS", "-D", str(head), "-w", "%{stderr}" + MARK + "%{json}\n"]
        command = [CURL, *common]
        for word in words:
            command += [word, *common] if word == "--next" else [word]
        # Nothing of the surroundings may decide which proxy is used.
        code, out, err = run(command, stdin=stdin, env={"no_proxy": ""}, patience=patience)
        heads = head.read_text(errors="replace") if head.exists() else ""
    said, transfers = [], []
    for part in err.split(MARK):
        first, _, rest = part.partition("\n")
        if first.startswith("{"):
            transfers.append(json.loads(first))
            said.append(rest)
        else:
            said.append(part)
    return Answer(code, out, heads.replace("\r", ""), "".join(said), transfers)


def start_curl(*words, directory, name):
    """A curl that runs on its own; what it receives goes to standard output, a pipe."""
    log = open(Path(directory) / f"{name}.log", "wb")
    with log:
        return subprocess.Popen(
            [CURL, "-sSN", *[str(word) for word in words]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
