"""What happens to TCP on the way: proxies that cut, and connections that are open at one end only."""

import time

from ..check import at_most, fail
from ..net import CLIENT, NEAR_ROUTER_IP, ROUTER
from ..registry import Seen, row
from ..user import all_good, seen

MIB = 1 << 20

PROXY_PORT, CUT_SECONDS = 3128, 15
# Three cuts at the same age, below a minute, teach the client the age; after that it is not to wait for them.
LESSONS, AFTERWARDS = 3, 32
# The first pause is at most half a second; and what a busy machine costs.
CUT_MS = 3_000
# Silence is noticed after 10 s of rest by a Ping that is unanswered for 3 s; and what a busy machine costs. Whatever
# happens it is noticed within 30 s.
SILENCE_MS = 16_000


@row("cutting-proxy", f"a proxy cuts each connection after {CUT_SECONDS} s", over=("ws",), fault_first="proxy")
def cutting_proxy(lab):
    words = ["python3", lab.bench.here / "proxy.py", NEAR_ROUTER_IP, PROXY_PORT, CUT_SECONDS]
    proxy = lab.python("proxy", ROUTER, words)
    lab.start_client("--proxy", f"http://{NEAR_ROUTER_IP}:{PROXY_PORT}")
    lab.begin()
    came, took = lab.visitors(), []
    for cut in range(1, LESSONS + 1):
        proxy.wait_for(f"cut {cut}", lambda text, cut=cut: text.count("cut") >= cut, 2 * CUT_SECONDS)
        took.append(came.recovered(time.monotonic(), 30))
    taught = came.leave()
    at_most("service after a cut", max(took), CUT_MS)
    came, short = lab.visitors(), lab.visitors(lambda: lab.slow(MIB // 16, 2))
    time.sleep(AFTERWARDS)
    visits, downloads = came.leave(), short.leave()
    all_good("users once the period is known", visits)
    all_good("downloads of 2 s once the period is known", downloads)
    then = f"then {len(visits)} x 200 and {len(downloads)} downloads of 2 s whole"
    return Seen(f"three cuts: {seen(taught)}; {then}", max(took))


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
    at_most("service", took, SILENCE_MS)
    return Seen(seen(visits), took)
