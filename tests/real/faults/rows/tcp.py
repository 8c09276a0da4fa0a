"""What happens to TCP on the way: proxies that cut, and connections that are open at one end only."""

import time

from ..check import at_most, fail, same
from ..net import CLIENT, NEAR_ROUTER_IP, ROUTER
from ..registry import Seen, row
from ..user import seen

PROXY_PORT, CUT_SECONDS, CUTS = 3128, 15, 4
# A dead peer is noticed within 30 s; the pause before the next attempt and a busy machine.
DEAD_MS = 33_000


@row("cutting-proxy", f"a proxy cuts each connection after {CUT_SECONDS} s", over=("ws",), fault_first="proxy")
def cutting_proxy(lab):
    words = ["python3", lab.bench.here / "proxy.py", NEAR_ROUTER_IP, PROXY_PORT, CUT_SECONDS]
    proxy = lab.python("proxy", ROUTER, words)
    lab.start_client("--proxy", f"http://{NEAR_ROUTER_IP}:{PROXY_PORT}")
    lab.begin()
    came = lab.visitors()
    gaps = []
    for cut in range(1, CUTS + 1):
        proxy.wait_for(f"cut {cut}", lambda text, cut=cut: text.count("cut") >= cut, 2 * CUT_SECONDS)
        gaps.append(came.recovered(time.monotonic(), 30))
    visits = came.leave()
    at_most("service after a cut", max(gaps), 3000)
    bad = [visit for visit in visits if not visit.good]
    # Those of the first two cuts teach the period.
    learnt = proxy_learnt(visits, bad)
    if learnt:
        fail(f"after two cuts the period is known, and yet: {seen(learnt)}")
    return Seen(f"{seen(visits)}; {CUTS} cuts", max(gaps))


def proxy_learnt(visits, bad):
    """Who failed in the second half, when the period could be known."""
    middle = (visits[0].began + visits[-1].began) / 2
    return [visit for visit in bad if visit.began > middle]


@row("half-open", "half-open TCP: its packets vanish, then its address; a new one comes", over=("ws", "auto"))
def half_open(lab):
    if lab.transport == "auto":
        # Only over TCP is it this fault.
        lab.net.fault("meta l4proto udp drop")
        lab.wait_carrier("ws", 15)
        lab.wait_served()
    lines = lab.net.within(CLIENT, "ss", "-Htn", "state", "established", "dport", "=", "8443").split("\n")
    ports = [line.split()[2].rpartition(":")[2] for line in lines if line.strip()]
    if not ports:
        fail("no connection of the tunnel")
    came = lab.visitors(lambda: lab.forwarded("/hello"))
    time.sleep(1)
    for port in ports:
        lab.net.fault(f"tcp sport {port} drop", f"tcp dport {port} drop")
    lab.net.change_address()
    took = came.recovered(time.monotonic(), 60)
    time.sleep(1)
    visits = came.leave()
    at_most("service", took, DEAD_MS)
    same("sessions", lab.sessions(), 2)
    return Seen(seen(visits), took)
