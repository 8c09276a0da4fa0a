"""What one more costs when there are many already: connections in a tunnel, sessions and groups at a gateway.

Every step has a pair of its own. A session is a replica of a client process (64 at most in each), so that a thousand
of them are 16 processes. All clients are of one group and share the visitors.

Memory is without files: the program's own pages are shared, so that each further process would seem to make others
smaller. The first session comes before the count, as the first of all makes what the others use too; so does one group.
"""

import dataclasses
import os
import shutil
import tempfile
import time

from .entries import ours
from .measure import Measure
from .pair import Failed
from .question import ready, sessions

NAME = "growth"
KINDS = ("connections", "sessions", "groups")
# All of them, or one kind alone.
NAMES = (NAME, *(f"{NAME}-{kind}" for kind in KINDS))
REPLICAS = 64
PATIENCE = 90
# Between two looks whether something has happened, in seconds and as a part of the time until then: what a time can be
# wrong by. An answer costs the gateway something for each session, so there are not many.
GLANCE, GLANCE_PART = 0.005, 0.1


def applies(entry):
    """Ours with one session for each client: the number of sessions is what grows."""
    return entry.name in ("ours-quic", "ours-ws")


def steps(plan, measures=(NAME,)):
    sizes = (plan.grown_connections, plan.grown_sessions, plan.grown_groups)
    return [(kind, size) for kind, each in zip(KINDS, sizes) if {NAME, f"{NAME}-{kind}"} & set(measures) for size in each]


def replicas(count):
    """How many sessions each client process has, so that there are `count`."""
    return [min(REPLICAS, count - begun) for begun in range(0, count, REPLICAS)]


class Step:
    """One number of one kind: how its pair starts, and what is measured then."""

    def __init__(self, entry, kind, size, plan):
        self.transport, self.size, self.plan, self.numbers = entry.name.removeprefix("ours-"), size, plan, {}
        start, run = {"connections": (entry.start, self._connections), "sessions": (self._asked(self._log_in), self._visits),
                      "groups": (self._asked(self._configured), self._visits)}[kind]
        self.kind = kind
        self.entry, self.measure = dataclasses.replace(entry, start=start), Measure(run)

    def _asked(self, start):
        """`start` with a gateway that can be asked. The path of a socket is short, so it has a directory of its own."""
        def asked(pair):
            directory = tempfile.mkdtemp(prefix="bench-")
            try:
                start(pair, os.path.join(directory, "status"))
            finally:
                shutil.rmtree(directory)
        return asked

    def _connections(self, pair, plan):
        # Threads, caches and the first pages of everything are there before the first that counts.
        pair.visitor("churn", "--seconds", 0.5, "--workers", 8)
        time.sleep(plan.rest_after_close)
        before = _costs(pair)
        holder, opened = pair.resident("hold", "--count", self.size)
        try:
            if opened["failed"]:
                raise Failed(f"{opened['failed']} of {self.size} connections were not opened")
            time.sleep(1)
            after = _costs(pair)
            numbers = {f"connections_{name}": (after[name] - before[name]) / self.size for name in after}
            numbers.update(_visited(pair, plan, self.kind))
        finally:
            holder.kill()
        return numbers

    def _log_in(self, pair, status):
        gateway = _gateway(pair, status)
        _one_more(pair, self.transport, status, "first")
        time.sleep(1)
        resting = _busy(gateway, self.plan.rest)
        memory, busy, begun = _memory(gateway), gateway.busy_seconds(), time.monotonic()
        for number, count in enumerate(replicas(self.size)):
            ours.client(pair, self.transport, f"client-{number}", count)
        _until(lambda: sessions(status) > self.size, f"there were not {self.size} more sessions", pair)
        self.numbers = {"sessions_all_ms": 1000 * (time.monotonic() - begun) / self.size,
                        "sessions_login_cpu_ms": 1000 * (gateway.busy_seconds() - busy) / self.size}
        time.sleep(2)
        self.numbers["sessions_kib"] = (_memory(gateway) - memory) / self.size
        self.numbers["sessions_rest_us_s"] = 1e6 * (_busy(gateway, self.plan.rest) - resting) / self.size
        self.numbers["sessions_one_more_ms"] = _one_more(pair, self.transport, status)

    def _configured(self, pair, status):
        gateway = _gateway(pair, status)
        time.sleep(1)
        without = _memory(gateway)
        gateway.stop()
        pair.sides["A"].remove(gateway)
        begun = time.monotonic()
        gateway = _gateway(pair, status, self.size)
        self.numbers = {"groups_start_ms": 1000 * (time.monotonic() - begun)}
        time.sleep(1)
        self.numbers["groups_kib"] = (_memory(gateway) - without) / self.size
        self.numbers["groups_one_more_ms"] = _one_more(pair, self.transport, status)

    def _visits(self, pair, plan):
        return {**self.numbers, **_visited(pair, plan, self.kind)}


def _gateway(pair, status, more_groups=0):
    gateway = ours.gateway(pair, more_groups, status)
    _until(lambda: ready(status), "the gateway was not ready", pair)
    return gateway


def _one_more(pair, transport, status, name="one-more"):
    """From the start of a process to its session."""
    before, begun = sessions(status), time.monotonic()
    ours.client(pair, transport, name)
    _until(lambda: sessions(status) > before, "one more client did not get in", pair)
    return 1000 * (time.monotonic() - begun)


def _until(condition, complaint, pair):
    begun = time.monotonic()
    while not condition():
        for process in pair.processes:
            if not process.alive():
                raise Failed(f"{complaint}, and one ended: {process.said()}")
        waited = time.monotonic() - begun
        if waited > PATIENCE:
            raise Failed(f"{complaint}: {' | '.join(process.said(100) for process in pair.processes)}"[:400])
        time.sleep(max(GLANCE, GLANCE_PART * waited))


def _memory(process):
    return process.memory_kib("Pss_Anon")


def _busy(process, seconds):
    """Seconds of CPU time that it takes in a second, without visitors."""
    before, begun = process.busy_seconds(), time.monotonic()
    time.sleep(seconds)
    return (process.busy_seconds() - before) / (time.monotonic() - begun)


def _side_busy(pair, side):
    return sum(process.busy_seconds() for process in pair.sides[side])


def _costs(pair):
    """KiB and microseconds of each side until now."""
    return {f"{name}_{side.lower()}": cost for side in "AB" for name, cost in (
        ("kib", sum(_memory(process) for process in pair.sides[side])), ("open_us", 1e6 * _side_busy(pair, side)))}


def _visited(pair, plan, kind):
    pings = pair.visitor("pingpong", "--seconds", plan.short)
    before = _side_busy(pair, "A") + _side_busy(pair, "B")
    churn = pair.visitor("churn", "--seconds", plan.short, "--workers", 32)
    if churn["failed"]:
        raise Failed(f"{churn['failed']} connections of {kind} failed")
    busy = _side_busy(pair, "A") + _side_busy(pair, "B") - before
    return {f"{kind}_ping_us": pings["p50_us"], f"{kind}_s": churn["per_second"],
            f"{kind}_each_us": 1e6 * busy / (churn["per_second"] * plan.short)}
