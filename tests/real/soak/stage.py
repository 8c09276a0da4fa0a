"""Everything that one run starts, and what is done with it."""

import os
import time
from pathlib import Path

from . import plan
from .faults import Met
from .helpers import Helper
from .ledger import Ledger
from .network import Network
from .programs import Program, write_files
from .sampler import Sampler

# How long a fault's recovery is waited for, in seconds.
PATIENCE = 60
# Connections to HTTP targets are kept for 15 s, and flows for `flow_idle`; then nothing of the users is left.
SETTLE = 18
# Streams in a tunnel that died unseen may take until `dead_after`.
REST_PATIENCE = 75


class Stage:
    """Network, programs, users, targets and the ledger of one run."""

    def __init__(self, directory, seed):
        self.directory = Path(directory)
        self.seed = seed
        self.ledger = Ledger()
        self.network = Network()
        self.helpers = []
        self.programs = {}
        self.met = []
        self.unsettled = []
        # When the users rested, of the monotonic clock.
        self.rests = []

    def __enter__(self):
        self.network.__enter__()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        secrets = write_files(self.directory, os.environ["ANYPROXY"])
        for group in plan.GROUPS:
            self.helpers.append(Helper("targets", self.network.inside(group), self.ledger.targets(group)))
        environment = {**os.environ, **{f"SOAK_{group.upper()}": word for group, word in secrets.items()}}
        for name in ("gateway", *plan.GROUPS):
            role = "gateway" if name == "gateway" else "client"
            self.programs[name] = Program(name, role, self.directory, self.network.inside(name))
            self.programs[name].start()
        self.sampler = Sampler(self.programs, self.ledger)
        self.wait("the targets", lambda: self.ledger.ready == set(plan.GROUPS), 20)
        for group in plan.GROUPS:
            client = self.programs[group]
            self.wait(f"the client {group}", lambda one=client: one.count("forward open") >= 2, 20)
        inside = self.network.inside("users")
        self.users = Helper("users", inside, self.ledger.users, str(self.seed), environment=environment)
        self.helpers.append(self.users)
        self.wait("the users", lambda: "users" in self.ledger.live, 20)

    def __exit__(self, *_):
        if hasattr(self, "sampler"):
            self.sampler.end()
        for helper in self.helpers:
            helper.end()
        for program in self.programs.values():
            program.kill()
        self.network.__exit__()

    def sleep(self, seconds):
        """Passes time; ends the run if one of our own helpers is gone."""
        self.until(lambda: False, seconds)

    def until(self, true, patience):
        """Waits for something, at most so long; says whether it came."""
        end = time.monotonic() + patience
        while not true():
            left = end - time.monotonic()
            if left <= 0:
                return False
            for helper in self.helpers:
                helper.check()
            time.sleep(min(0.1, left))
        return True

    def wait(self, what, true, patience):
        """Waits for what has to come."""
        if not self.until(true, patience):
            logs = "\n".join(log.read_text()[-1500:] for log in self.directory.glob("*.log"))
            raise RuntimeError(f"waited in vain for {what}\n{logs}")

    def go(self):
        """Traffic begins, or goes on; waits until all kinds of it work."""
        self.users.say("go")
        self.wait("first requests", lambda: len(self.ledger.kinds) == 7 * len(plan.GROUPS), PATIENCE)
        mark = self.ledger.mark()
        self.wait("all kinds of traffic", lambda: mark.done, PATIENCE)

    def rest(self):
        """Traffic rests until nothing of it is left; then looks at the programs: a quiet point."""
        self.users.say("rest")
        began = time.monotonic()
        if not self.until(self.ledger.at_rest, REST_PATIENCE):
            self.unsettled.append(f"connections left {REST_PATIENCE} s after the users: {self.ledger.live}")
        self.sleep(SETTLE - (time.monotonic() - began))
        self.sampler.quiet_point()
        self.rests.append((began, time.monotonic()))

    def inject(self, fault):
        """A fault, and the time until everything works again."""
        met = Met(len(self.met) + 1, fault, time.monotonic())
        self.met.append(met)
        self.sampler.fault = met.number
        met.note = fault.begin(self) or ""
        # Not before: a probe could slip through while it begins.
        during = self.ledger.mark()
        self.sleep(fault.hold)
        fault.clear(self)
        met.cleared = time.monotonic()
        after = self.ledger.mark()
        self.until(lambda: after.done, PATIENCE)
        met.recovered = after.took()
        if during.done and during.done < met.cleared:
            met.within = during.took()
        self.sampler.fault = 0
        return met
