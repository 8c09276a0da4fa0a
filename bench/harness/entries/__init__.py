"""What is compared. One file for each program; each offers a list `ENTRIES`."""

from dataclasses import dataclass
from importlib import import_module
from typing import Callable

from .. import process

FILES = ("reference", "ours", "singbox", "ssh", "bore", "rathole", "wstunnel")


@dataclass(frozen=True)
class Entry:
    name: str
    about: str
    # Starts both sides: a function of the pair.
    start: Callable
    # Programs that it needs, by name.
    needs: tuple = ()
    # "quic", "tls" or "plain": ours are compared with peers of their kind.
    kind: str = "plain"
    # Whether all visitors share one connection.
    multiplexed: bool = False
    datagrams: bool = False
    # Ours; a reference is no tunnel, and no peer either.
    ours: bool = False
    reference: bool = False
    # Visitors go straight to the service.
    direct: bool = False

    @property
    def peer(self):
        return not (self.ours or self.reference) and self.kind != "plain"

    def absent(self):
        """The programs that it needs and this machine does not have."""
        return [name for name in self.needs if not process.find(name)]


def all_entries():
    return [entry for name in FILES for entry in import_module(f"{__name__}.{name}").ENTRIES]
