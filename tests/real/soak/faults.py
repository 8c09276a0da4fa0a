"""The faults: what each does, for how long, and what it may cost."""

import random
import signal
from dataclasses import dataclass, field

from .plan import TUNNEL


@dataclass
class Fault:
    """One kind of fault. `begin` and `clear` get the stage (`stage.Stage`)."""

    name: str
    begin: callable
    clear: callable = lambda stage: None
    # How long it lasts, in seconds.
    hold: float = 0
    # Ends a process: done early, so that the later lives are long enough to judge.
    restart: bool = False
    # Nobody may notice.
    harmless: bool = False


@dataclass
class Met:
    """A fault that was injected. Times are of the monotonic clock."""

    number: int
    fault: Fault
    start: float
    cleared: float = 0.0
    # Until all kinds of traffic worked: from its start (for those that last), and from when it was cleared.
    within: float | None = None
    recovered: float | None = None
    failures: dict = field(default_factory=dict)
    note: str = ""

    def until(self, bound):
        """When it is over for those who judge failures."""
        return self.cleared + (self.recovered if self.recovered is not None else bound)


def kill(name):
    return lambda stage: stage.programs[name].kill()


def start(name):
    return lambda stage: stage.programs[name].start()


def send(name, signum):
    return lambda stage: stage.programs[name].send(signum)


def rule(place, text):
    return lambda stage: stage.network.filter(place, text)


def clear(place):
    return lambda stage: stage.network.clear(place)


def graceful(stage):
    took = stage.programs["gateway"].end()
    stage.programs["gateway"].start()
    return f"the old one took {took:.1f} s"


def tunnel(place):
    return lambda stage: f"{stage.network.reset(place)} connections"


RULES = {
    "20 % loss": ("numgen random mod 100 < 20 drop", 8),
    "cut": (f"th dport {TUNNEL} drop; th sport {TUNNEL} drop", 10),
}
UDP = f"udp dport {TUNNEL} drop; udp sport {TUNNEL} drop"
ICMP = f"udp dport {TUNNEL} reject with icmp port-unreachable; udp sport {TUNNEL} reject with icmp port-unreachable"


def catalogue():
    """All faults."""
    faults = [
        Fault("gateway ends and restarts", graceful, restart=True),
        Fault("gateway killed", kill("gateway"), start("gateway"), 2, restart=True),
        Fault("gateway frozen", send("gateway", signal.SIGSTOP), send("gateway", signal.SIGCONT), 6),
        Fault("gateway reloads", send("gateway", signal.SIGHUP), hold=2, harmless=True),
        Fault("UDP black hole", rule("auto", UDP), clear("auto"), 20),
        Fault("UDP rejected", rule("auto", ICMP), clear("auto"), 15),
    ]
    for place in ("auto", "ws"):
        for name, (text, hold) in RULES.items():
            faults.append(Fault(f"{name}, {place}", rule(place, text), clear(place), hold))
        faults += [
            Fault(f"client killed, {place}", kill(place), start(place), 2, restart=True),
            Fault(f"client frozen, {place}", send(place, signal.SIGSTOP), send(place, signal.SIGCONT), 10),
        ]
    faults.append(Fault("tunnel reset, ws", tunnel("ws")))
    return faults


def schedule(seed):
    """An endless order: first all that restart, then rounds of the rest."""
    order = random.Random(seed)
    restarts = [fault for fault in catalogue() if fault.restart]
    others = [fault for fault in catalogue() if not fault.restart]
    order.shuffle(restarts)
    yield from restarts
    while True:
        order.shuffle(others)
        yield from others
