"""What all labs share: the program, certificates, a big random file, and the targets."""

import hashlib
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from .check import same
from .lab import CLIENT_ONLY, DENIED
from .program import run
from .targets import Targets

MIB = 1 << 20


class Bench:
    """One run of the matrix."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.stack = ExitStack()
        self.anyproxy = Path(os.environ.get("ANYPROXY", "target/release/anyproxy")).resolve()
        if not self.anyproxy.is_file():
            sys.exit(f"no program at {self.anyproxy}: build it, or name it with ANYPROXY")
        self.certs = self.make_certificates("certs", "--group", "demo")
        self.names = self.make_names()
        self.file, self.sum = self.make_file("file", int(os.environ.get("SIZE_MIB", "256")))
        self.small, self.small_sum = self.make_file("small", 64)
        self.targets = self.stack.enter_context(Targets(self))

    def make_certificates(self, name, *options):
        """A CA and a certificate for the loopback names, made by the program itself."""
        path = self.dir / name
        code, _, err = run([self.anyproxy, "certs", "--dir", path, *options])
        same(f"anyproxy certs: {err}", code, 0)
        return path

    def make_names(self):
        """The client's hosts file; see `lab.OWN_NAMES`."""
        path = self.dir / "names"
        path.mkdir()
        hosts = ["127.0.0.1 localhost", f"127.0.0.1 {CLIENT_ONLY}", f"{DENIED} denied.test"]
        (path / "hosts").write_text("\n".join(hosts) + "\n")
        (path / "nsswitch.conf").write_text("hosts: files\n")
        return path

    def make_file(self, name, mebibytes):
        """Random bytes, and their SHA-256."""
        path = self.dir / name
        digest = hashlib.sha256()
        with open(path, "wb") as file:
            for _ in range(mebibytes):
                block = os.urandom(MIB)
                digest.update(block)
                file.write(block)
        return path, digest.hexdigest()

    def close(self):
        self.stack.close()
