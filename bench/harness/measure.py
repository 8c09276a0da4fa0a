"""What a measure is, and which entries it makes sense for."""

from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Measure:
    run: Callable
    service: str = "loadgen"
    # Whether there must be processes of the tunnel, or datagrams through it.
    of_processes: bool = False
    of_datagrams: bool = False

    def applies(self, entry):
        return not (self.of_processes and entry.direct) and (entry.datagrams or not self.of_datagrams)
