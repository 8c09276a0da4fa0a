"""What the programs use, each second and at quiet points."""

import csv
import statistics
import threading
import time
from dataclasses import dataclass


@dataclass
class Usage:
    """Of one life of a program. Memory in bytes."""

    life: int
    rss: int
    descriptors: int
    threads: int


@dataclass
class Sample:
    """A second: its time since the run began, each program's usage, requests, failures and bytes, and the fault."""

    at: float
    usage: dict
    worked: int
    failed: int
    moved: int
    fault: int


def look(programs):
    """Each program's usage, or None."""
    found = {}
    for name, program in programs.items():
        usage = program.usage()
        found[name] = Usage(program.life, *usage) if usage else None
    return found


class Sampler:
    """A thread that looks once a second."""

    def __init__(self, programs, ledger):
        self.programs = programs
        self.ledger = ledger
        self.began = time.monotonic()
        self.samples = []
        self.quiet = []
        self.fault = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def since(self, clock):
        """A time of the monotonic clock as seconds of the run."""
        return clock - self.began

    def _run(self):
        while not self.stop.wait(1):
            now = time.monotonic()
            for program in self.programs.values():
                program.alive()
            # The second before the last is complete.
            counts = self.ledger.second(int(now) - 2)
            self.samples.append(Sample(self.since(now), look(self.programs), *counts, self.fault))

    def quiet_point(self):
        """The medians of five looks, at rest."""
        looks = []
        for _ in range(5):
            looks.append(look(self.programs))
            time.sleep(0.5)
        point = {}
        for name in self.programs:
            seen = [one[name] for one in looks if one[name]]
            if seen:
                middle = lambda field: int(statistics.median_low(getattr(one, field) for one in seen))
                point[name] = Usage(seen[-1].life, middle("rss"), middle("descriptors"), middle("threads"))
        self.quiet.append((self.since(time.monotonic()), point))

    def end(self):
        """No further samples."""
        self.stop.set()
        self.thread.join(5)

    def write(self, path):
        """All samples as CSV."""
        with open(path, "w", newline="") as file:
            rows = csv.writer(file)
            names = list(self.programs)
            fields = ("life", "rss", "descriptors", "threads")
            rows.writerow(
                ["second", "requests", "failures", "bytes", "fault"] + [f"{n}_{f}" for n in names for f in fields]
            )
            for one in self.samples:
                row = [f"{one.at:.1f}", one.worked, one.failed, one.moved, one.fault]
                for name in names:
                    usage = one.usage[name]
                    row += [getattr(usage, field) if usage else "" for field in fields]
                rows.writerow(row)
