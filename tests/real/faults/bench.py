"""What all rows share: the program, certificates for the gateway's address, and the bytes that are moved."""

import hashlib
import os
import sys
from pathlib import Path

from .net import GATEWAY_IP, need

MIB = 1 << 20
FILE_SIZE = 32 * MIB


class Bench:
    """One run of the script."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.here = Path(__file__).parent
        self.anyproxy = Path(os.environ.get("ANYPROXY", "target/release/anyproxy")).resolve()
        if not self.anyproxy.is_file():
            sys.exit(f"no program at {self.anyproxy}: build it, or name it with ANYPROXY")
        self.content = os.urandom(FILE_SIZE)
        self.file = self.dir / "file"
        self.file.write_bytes(self.content)
        self.certs = self.certificates("certs")

    def certificates(self, name):
        """A CA and a certificate for the gateway, made by the program itself."""
        path = self.dir / name
        need(self.anyproxy, "certs", "--dir", path, "--name", GATEWAY_IP, "--group", "demo")
        return path

    def digest(self, count):
        """The SHA-256 of the first bytes of the file."""
        return hashlib.sha256(self.content[:count]).hexdigest()
