"""Runs each measure of each entry on a fresh pair, and records what came of it."""

import os
import shutil
import subprocess
import time

from . import growth, linked, loopback
from .machine import Clock
from .namespaces import Link, Loopback
from .pair import Failed, Pair

# What a measure may meet without that being an end of the whole comparison.
EXPECTED = (Failed, RuntimeError, OSError, KeyError, ValueError, subprocess.SubprocessError)


class Runner:
    def __init__(self, plan, certificates, directory, keep, say):
        self.plan, self.certificates, self.directory, self.keep, self.say = plan, certificates, directory, keep, say
        self.records = []

    def loopback(self, entries, measures, control):
        for run in range(self.plan.runs):
            for entry in entries:
                for name, measure in loopback.MEASURES.items():
                    if name in measures and measure.applies(entry) and self._planned(name):
                        where = {"scene": "loopback", "control": control}
                        self._record(entry, run, name, where, lambda _: Loopback(control), measure)

    def growth(self, entries, measures, control):
        """A fresh pair for each number of connections, sessions and groups."""
        for run in range(self.plan.runs):
            for entry in filter(growth.applies, entries):
                for kind, size in growth.steps(self.plan, measures):
                    where = {"scene": "growth", "control": control, "kind": kind, "size": size}
                    step = growth.Step(entry, kind, size, self.plan)
                    self._record(step.entry, run, growth.NAME, where, lambda _: Loopback(control), step.measure)

    def linked(self, entries, measures, control):
        for run in range(self.plan.runs):
            for entry in entries:
                for name, measure in linked.MEASURES.items():
                    if name in measures and measure.applies(entry):
                        for loss in self._losses(name):
                            where = {"scene": "link", "control": control, "loss": loss}
                            self._record(entry, run, name, where, self._link(loss, control, run), measure)

    def _planned(self, name):
        return name != "much-memory" or len(self.plan.held) > 1

    def _losses(self, name):
        if name == "fairness":
            return (0,)
        return self.plan.losses[-1:] if name == "lossy-udp" else self.plan.losses

    def _link(self, loss, control, run):
        plan = self.plan
        shape = {"delay-ms": plan.delay_ms, "loss-pct": loss, "rate-mbit": plan.rate_mbit,
                 "queue-kb": plan.queue_kb, "seed": run + 1}
        return lambda directory: Link(shape, directory, control)

    def _record(self, entry, run, name, where, network, measure):
        directory = os.path.join(self.directory, f"{len(self.records)}-{entry.name}-{name}")
        os.makedirs(directory)
        record = {"entry": entry.name, "run": run + 1, "measure": name, **where, "numbers": {}}
        clock, start = Clock(), time.monotonic()
        try:
            record["numbers"] = self._measure(entry, directory, network, measure, record)
        except EXPECTED as error:
            record["error"] = " ".join(f"{error or type(error).__name__}".split())[:400]
        record.update(clock.parts(), seconds=round(time.monotonic() - start, 1))
        self.records.append(record)
        self.say(record)
        if not self.keep:
            shutil.rmtree(directory)

    def _measure(self, entry, directory, network, measure, record):
        net = network(directory)
        try:
            record["control"] = net.control
            pair = Pair(entry, net, self.certificates, os.path.join(directory, "pair"), measure.service)
            try:
                return measure.run(pair, self.plan)
            finally:
                pair.close()
                if net.shaped:
                    record["link"] = net.counts()
        finally:
            net.close()
