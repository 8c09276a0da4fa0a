"""How long and how much is measured: in full, and for a look whether it all works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    runs: int = 3
    # Seconds of one bulk transfer, of other measurements on loopback, and of those over the link.
    bulk: float = 5
    short: float = 3
    linked: float = 8
    warm_up: float = 2
    held: tuple = (1000, 10_000)
    live_at_exit: int = 1000
    rest_after_close: float = 3
    checked_mib: int = 64
    # How many connections, sessions and groups there are while costs are measured, and for how long they rest.
    grown_connections: tuple = (10, 100, 1000, 10_000)
    grown_sessions: tuple = (1, 10, 100, 1000)
    grown_groups: tuple = (1, 10, 100, 1000)
    rest: float = 10
    losses: tuple = (0, 1, 3, 5)
    # Requests under bulk: at least so many, so that the 99th in a hundred means something.
    requests: int = 1000
    # Each way.
    delay_ms: float = 20
    rate_mbit: float = 100
    queue_kb: float = 500


FULL = Plan()
QUICK = Plan(runs=1, bulk=1, short=1, linked=1, warm_up=0.5, held=(1000,), rest_after_close=0.5, losses=(1,), requests=50,
             grown_connections=(10, 100), grown_sessions=(1, 10), grown_groups=(1, 10), rest=1)
