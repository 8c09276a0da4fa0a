"""A path that changes under a live tunnel: addresses, ports, and the size of packets."""

import re
import time

from ..check import at_most, same, true
from ..net import CLIENT, GATEWAY, ROUTER
from ..registry import EACH, Seen, row
from ..user import seen, whole

MIB = 1 << 20
# A TCP connection does not outlive its address. While bytes are on their way, silence is noticed after
# max(3 s, 4 time-outs for retransmission); then one connects, on a busy machine.
SILENCE_MS = 6_000


def change(lab, happen):
    """The path changes in the middle of a download: QUIC keeps it, TCP is made anew."""
    download = lab.slow(4 * MIB, 8)
    came = lab.visitors()
    time.sleep(2)
    carrier = lab.carrier()
    changed = time.monotonic()
    happen()
    took = came.recovered(changed, 60)
    visit = download.visit()
    visits = came.leave()
    if carrier == "quic":
        whole("the download", visit, lab.bench.digest(4 * MIB))
        same("sessions", lab.sessions(), 1)
        at_most("service", took, 5000)
    else:
        at_most("service", took, SILENCE_MS)
    kept = "whole" if visit.good else f"cut ({visit})"
    return Seen(f"{seen(visits)}; a download over it {kept}", took)


@row("nat-rebind", "NAT: another port and no memory, in the middle of a download", fault_first="nat")
def nat_rebind(lab):
    lab.net.nat("20000-29999")
    lab.start_client()
    lab.begin()
    result = change(lab, lambda: lab.net.nat("30000-39999"))
    true("the tunnel has a port of the new range", re.search(r"dport=3\d{4} ", lab.net.hidden()))
    return result


@row("address", "the client gets another address, in the middle of a download")
def address(lab):
    return change(lab, lab.net.change_address)


@row("mtu", "the path's MTU shrinks to 1280 in the middle, ICMP blocked", over=EACH)
def mtu(lab):
    # As systems have it: TCP does not look for the size by itself.
    for place in (CLIENT, GATEWAY):
        lab.net.within(place, "sysctl", "-qw", "net.ipv4.tcp_mtu_probing=0")
    lab.net.within(ROUTER, "nft", "add table ip mute; add chain ip mute out { type filter hook output priority 0; };"
                   "add rule ip mute out meta l4proto icmp drop")
    download = lab.slow(8 * MIB, 8)
    came = lab.visitors()
    time.sleep(2)
    lab.net.within(ROUTER, "ip", "link", "set", "far", "mtu", "1280")
    took = came.recovered(time.monotonic(), 40)
    visit = download.visit()
    whole("the download", visit, lab.bench.digest(8 * MIB))
    down, up = lab.transfer(4 * MIB)
    visits = came.leave()
    same("sessions", lab.sessions(), 1)
    return Seen(f"{seen(visits)}; a download over it whole; then 4 MiB down in {down} ms, up in {up} ms, exact", took)
