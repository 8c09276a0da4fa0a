"""bore: nothing is encrypted, a connection per visitor."""

from ..pair import SECRET, SERVICE, VISITORS
from . import Entry

# It has no option for this one.
CONTROL = 7835
QUIET = {"RUST_LOG": "warn"}


def _start(pair):
    pair.spawn("A", "bore", "server", "--secret", SECRET, "--min-port", str(VISITORS), "--max-port", str(VISITORS),
               env=QUIET)
    pair.await_port("A", CONTROL)
    pair.spawn("B", "bore", "local", str(SERVICE), "--to", pair.a_address, "--port", str(VISITORS), "--secret", SECRET,
               env=QUIET)


ENTRIES = [Entry("bore", "bore: not encrypted, a connection per visitor", _start, ("bore",))]
