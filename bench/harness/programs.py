"""The Rust programs of bench/, and the product."""

import os
import subprocess

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(BENCH)


def built(name):
    return os.path.join(BENCH, name, "target", "release", name)


def build():
    for name in ("loadgen", "link"):
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=os.path.join(BENCH, name),
                       check=True, stdin=subprocess.DEVNULL)


def anyproxy():
    """The program that is measured: ANYPROXY, or what `cargo build --release` makes."""
    return os.path.abspath(os.environ.get("ANYPROXY") or os.path.join(ROOT, "target", "release", "anyproxy"))
