"""UDP that does not pass, or hardly."""

import time

from ..check import at_most, fail, same
from ..net import UDP
from ..registry import Seen, row
from ..user import all_good, seen, whole

MIB = 1 << 20
# 1 s and two round trips, which are nothing here, and what starting two programs costs on a busy machine.
START_MS = 1500
# Within 5 s, and what a curl costs on a busy machine.
MOVE_MS, MOVE_PATIENCE = 5500, 15
# An attempt that is under way repeats its packets with growing pauses, as TCP does, and so do attempts.
HEALED_MS = 30_000
# Of some 100 Mbit/s.
ONE_PERCENT = "125 kbytes/second burst 32 kbytes"


def start_anew(lab, patience=30):
    """Starts the client; milliseconds until the first user is served, and who carries."""
    came = lab.visitors()
    began = time.monotonic()
    lab.start_client()
    took = came.recovered(began, patience)
    lab.wait_served()
    return took, came.leave()


@row("udp-black-hole-at-start", "UDP black-holed from the start, opened later", over=("auto",), fault_first="udp")
def black_hole_at_start(lab):
    lab.net.fault(f"{UDP} drop")
    took, visits = start_anew(lab)
    at_most("service", took, START_MS)
    same("the carrier", lab.carrier(), "ws")
    lab.begin()
    download = lab.slow(4 * MIB, 20)
    lab.net.heal()
    opened = time.monotonic()
    lab.wait_carrier("quic", 40)
    back = round((time.monotonic() - opened) * 1000)
    whole("the download over the move", download.visit(), lab.bench.digest(4 * MIB))
    return Seen(f"{seen(visits)}; a download over the move to QUIC, {back} ms after UDP opened, whole", took)


@row("udp-rejected-at-start", "UDP rejected (ICMP port unreachable)", over=("auto",), fault_first="udp")
def rejected_at_start(lab):
    lab.net.fault(f"{UDP} reject with icmp type port-unreachable")
    took, visits = start_anew(lab)
    at_most("service", took, START_MS)
    same("the carrier", lab.carrier(), "ws")
    lab.begin()
    return Seen(seen(visits), took)


def middle(lab, rule):
    """UDP goes in the middle of a download, and comes back; the service has to move there and back."""
    download = lab.slow(4 * MIB, 25)
    came = lab.visitors()
    time.sleep(2)
    same("the carrier", lab.carrier(), "quic")
    lab.net.fault(rule)
    took = came.recovered(time.monotonic(), MOVE_PATIENCE)
    at_most("service", took, MOVE_MS)
    lab.wait_carrier("ws", MOVE_PATIENCE)
    lab.net.heal()
    opened = time.monotonic()
    lab.wait_carrier("quic", 60)
    back = round((time.monotonic() - opened) * 1000)
    whole("the download over both moves", download.visit(), lab.bench.digest(4 * MIB))
    visits = came.leave()
    return Seen(f"{seen(visits)}; a download over both moves whole; QUIC again {back} ms after UDP opened", took)


@row("udp-black-hole-mid", "UDP black-holed in the middle, opened later", over=("auto",))
def black_hole_in_the_middle(lab):
    return middle(lab, f"{UDP} drop")


@row("udp-rejected-mid", "UDP rejected in the middle, opened later", over=("auto",))
def rejected_in_the_middle(lab):
    return middle(lab, f"{UDP} reject with icmp type port-unreachable")


@row("udp-outage", "UDP black-holed for 8 s in the middle", over=("quic",))
def outage(lab):
    download = lab.slow(4 * MIB, 12)
    came = lab.visitors()
    time.sleep(2)
    lab.net.fault(f"{UDP} drop")
    time.sleep(8)
    lab.net.heal()
    took = came.recovered(time.monotonic(), 20)
    at_most("service", took, 5000)
    whole("the download", download.visit(), lab.bench.digest(4 * MIB))
    visits = came.leave()
    all_good("users, who only wait", visits)
    longest = max(visit.ms for visit in visits)
    same("sessions", lab.sessions(), 1)
    return Seen(f"{seen(visits)}, the longest for {longest} ms; a download over it whole", took)


@row("udp-throttled", "UDP throttled to 1 % (1 Mbit/s each way)", over=("quic", "auto"))
def throttled(lab):
    for device in ("near", "far"):
        lab.net.fault(f"iifname {device} {UDP} limit rate over {ONE_PERCENT} drop")
    download = lab.proxied(f"/bytes/{2 * MIB}", patience=90)
    came = lab.visitors()
    began = time.monotonic()
    took = came.recovered(began, 10)
    visit = download.visit()
    visits = came.leave()
    whole("the download", visit, lab.bench.digest(2 * MIB))
    all_good("users", visits)
    longest = max(each.ms for each in visits)
    if longest > 10_000:
        fail(f"a user waited for {longest} ms")
    carrier = lab.carrier()
    return Seen(f"{seen(visits)}, the longest for {longest} ms; 2 MiB in {visit.ms} ms, whole; over {carrier}", took)


@row("outage", "nothing passes for 40 s")
def long_outage(lab):
    came = lab.visitors()
    time.sleep(1)
    lab.net.fault("meta l4proto { tcp, udp } drop")
    time.sleep(40)
    lab.net.heal()
    took = came.recovered(time.monotonic(), 60)
    time.sleep(1)
    visits = came.leave()
    at_most("service", took, HEALED_MS)
    return Seen(seen(visits), took)
