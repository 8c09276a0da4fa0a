"""Links that lose, delay, reorder and duplicate."""

import time

from ..check import at_most, same
from ..lab import TUNNELS, UP
from ..net import CLIENT, GATEWAY_IP, UDP
from ..registry import EACH, Seen, row
from ..user import all_good, seen

MIB = 1 << 20
# A packet that waits for its retransmission waits for TCP's shortest time-out, 200 ms, or a few of them in a row.
PATIENT_MS = 12_000
# 1 s and two round trips of 100 ms, and what starting a program costs on a busy machine.
START_MS = 1_700


def bad_link(lab, size):
    """Bytes both ways and users meanwhile; everything is served, and nobody moves."""
    came = lab.visitors()
    down, up = lab.transfer(size)
    time.sleep(2)
    visits = came.leave()
    all_good("users", visits)
    longest = max(visit.ms for visit in visits)
    at_most("the longest that a user waited", longest, PATIENT_MS)
    same("sessions", lab.sessions(), 1)
    same("moves", lab.moves(), 0)
    moved = f"{size // MIB} MiB down in {down} ms, up in {up} ms, exact"
    return Seen(f"{seen(visits)}, the longest for {longest} ms; {moved}")


def lossy(percent, over):
    @row(f"loss-{percent}", f"{percent} % loss each way", over=over)
    def loss(lab):
        lab.net.fault(f"numgen random mod 100 < {percent} drop")
        return bad_link(lab, 8 * MIB)


lossy(1, ("quic", "ws"))
lossy(3, ("quic", "ws"))
lossy(5, ("quic", "ws"))
lossy(10, EACH)


@row("delay-200", "200 ms of delay each way", wire=(200, 0, 0, 0))
def delay(lab):
    return bad_link(lab, 4 * MIB)


@row(
    "delay-50-start",
    "50 ms of delay each way and UDP black-holed, at start",
    over=("auto",),
    wire=(50, 0, 0, 0),
    fault_first="udp",
)
def delay_at_start(lab):
    lab.net.fault(f"{UDP} drop")
    # Neighbours are known, as they are on a machine that is in use.
    lab.net.within(CLIENT, "curl", "-skm", "5", "-o", "/dev/null", f"https://{GATEWAY_IP}:{TUNNELS}/")
    began = time.monotonic()
    lab.start_client()
    lab.client.wait_record("the session is up", lambda record: record["message"] == UP)
    took = round((time.monotonic() - began) * 1000)
    at_most("the session", took, START_MS)
    lab.begin()
    return Seen("a session, then service", took)


@row("reorder", "a tenth of the packets 2 ms late, behind others", over=("quic", "ws"), wire=(5, 10, 2, 0))
def reorder(lab):
    return bad_link(lab, 2 * MIB)


@row("duplicate", "a fifth of the packets twice", over=("quic", "ws"), wire=(5, 0, 0, 20))
def duplicate(lab):
    return bad_link(lab, 4 * MIB)
