"""Opens a packet socket on each of two interfaces and becomes bench/link with them.

    link_sockets.py LEFT RIGHT PROGRAM [ARGUMENT]...

The program gets them as standard input and output. What Python can open by name, a program in a language with
checked memory could only open through raw structures.
"""

import os
import socket
import sys

ETH_P_ALL = 0x0003
SOL_PACKET = 263
# linux/if_packet.h and asm-generic/socket.h; Python has no names for them.
PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 20, 23
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
BUFFER = 16 << 20


def opened(interface):
    # Nothing is received before it is bound: it would come from every interface.
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    packets.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    packets.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    packets.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)
    packets.bind((interface, ETH_P_ALL))
    return packets


def ahead_of_all():
    """A link does not wait for a processor. Where this is not permitted, the counts say how late frames were."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        pass


def main():
    left, right, *argv = sys.argv[1:]
    sockets = [opened(left), opened(right)]
    for number, packets in enumerate(sockets):
        os.dup2(packets.fileno(), number, inheritable=True)
    ahead_of_all()
    os.execv(argv[0], argv)


main()
