"""A wire that delays, reorders and duplicates: passes Ethernet frames between two interfaces of its namespace.

    wire.py A B DELAY_MS REORDER_PERCENT REORDER_MS DUPLICATE_PERCENT

Each direction has the delay. A reordered frame comes REORDER_MS later than that, so the ones behind it
overtake it. Fast enough for some thousand frames a second, which is all that the rows need.
"""

import heapq
import random
import select
import socket
import sys
import time

A, B = sys.argv[1:3]
DELAY, REORDER, LATER, DUPLICATE = (float(word) for word in sys.argv[3:7])
ALL, OUTGOING, LONGEST = 3, socket.PACKET_OUTGOING, 65536
# The kernel's own default would overflow in one pause of this program.
BUFFER, FORCE_RECEIVE, FORCE_SEND = 8 << 20, 33, 32


def attach(device):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    raw.bind((device, ALL))
    raw.setsockopt(socket.SOL_SOCKET, FORCE_RECEIVE, BUFFER)
    raw.setsockopt(socket.SOL_SOCKET, FORCE_SEND, BUFFER)
    raw.setblocking(False)
    return raw


def due(now):
    """When a frame that came now goes on: once, or twice."""
    late = LATER if random.random() * 100 < REORDER else 0
    yield now + (DELAY + late) / 1000
    if random.random() * 100 < DUPLICATE:
        yield now + DELAY / 1000


def take(source, sink, waiting, number):
    """All frames that are there."""
    while True:
        try:
            frame, address = source.recvfrom(LONGEST)
        except BlockingIOError:
            return number
        if address[2] == OUTGOING:
            continue
        for at in due(time.monotonic()):
            number += 1
            heapq.heappush(waiting, (at, number, sink, frame))


def main():
    a, b = attach(A), attach(B)
    print("wired", flush=True)
    waiting, number = [], 0
    while True:
        pause = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([a, b], [], [], pause)
        for source in ready:
            number = take(source, b if source is a else a, waiting, number)
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, sink, frame = heapq.heappop(waiting)
            try:
                sink.send(frame)
            except OSError:
                pass  # A full queue or a link that is down loses frames, as wires do.


main()
