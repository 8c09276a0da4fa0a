"""The rows: functions that take a lab, do something to it, and tell what was seen."""

from dataclasses import dataclass, field
from typing import Callable

EACH = ("quic", "ws", "auto")


@dataclass(frozen=True)
class Row:
    """One fault over one transport."""

    name: str
    fault: str
    transport: str
    run: Callable = field(compare=False)
    # What `wire.py` is told, if the row needs it.
    wire: tuple = ()
    # Whether the row itself starts the client, because the fault is there first.
    fault_first: str = ""
    # Options of the client.
    client: tuple = ()

    @property
    def full_name(self):
        return f"{self.name}:{self.transport}"


@dataclass
class Seen:
    """What a row tells: what users saw, and how long they waited for service, in ms."""

    users: str
    recovery: int | None = None


ROWS = []


def row(name, fault, over=EACH, **rest):
    """Registers the function below, once for each transport."""

    def register(function):
        for transport in over:
            ROWS.append(Row(name, fault, transport, function, **rest))
        return function

    return register
