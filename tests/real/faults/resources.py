"""What a process holds: resident memory, descriptors, threads."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from .check import fail

# What an allocator may keep of what it once had, in MiB. A leak of a live transfer's buffers is more.
MEMORY_SLACK = 16
# One more or fewer than before: a target's connection that is just ending.
COUNT_SLACK = 1
# Workers for blocking calls come and go: groups, clients and certificates are looked at by one each.
THREAD_SLACK = 2
# How long everything may take to return, in seconds: idle blocking threads live for 10.
PATIENCE = 20


@dataclass
class Holding:
    """One moment of one process."""

    memory: int
    descriptors: int
    threads: int

    def over(self, before):
        """What has not returned to where it was."""
        problems = []
        if self.memory > before.memory + MEMORY_SLACK:
            problems.append(f"memory {before.memory} -> {self.memory} MiB")
        if self.descriptors > before.descriptors + COUNT_SLACK:
            problems.append(f"descriptors {before.descriptors} -> {self.descriptors}")
        if self.threads > before.threads + THREAD_SLACK:
            problems.append(f"threads {before.threads} -> {self.threads}")
        return ", ".join(problems)


def holding(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1))
    return Holding(
        memory=round(resident / 1024),
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        threads=len(os.listdir(f"/proc/{pid}/task")),
    )


def descriptors(pid):
    """What they are, for a report of a leak."""
    kinds = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kind = os.readlink(entry).split(":")[0]
        except OSError:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def settled(name, pid, before):
    """What the process holds once that has returned to where it was; fails if it does not."""
    end = time.monotonic() + PATIENCE
    while problem := (now := holding(pid)).over(before):
        if time.monotonic() > end:
            fail(f"the {name}'s {problem} ({descriptors(pid)})")
        time.sleep(0.1)
    return now
