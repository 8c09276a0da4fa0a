"""The network of one row: three namespaces, client - router - gateway, and what goes wrong between them.

    client 10.77.1.2  --veth--  router 10.77.1.1 / 10.77.2.1  --veth--  gateway 10.77.2.2

The targets are on the client's loopback, the users on the gateway's, so that a fault on the way is a
fault of the tunnel. There is no netem: loss, rejection, throttling and NAT are rules of nftables in the
router; delay, reordering and duplicates need a fourth namespace in the middle, with `wire.py` in it.
Segmentation offloads are off, so that a lost packet is one packet.
"""

import itertools
import os
import subprocess

from matrix.program import run

from .check import fail

CLIENT, ROUTER, GATEWAY, WIRE = "c", "r", "g", "w"
CLIENT_IP, OTHER_CLIENT_IP, NEAR_ROUTER_IP, GATEWAY_IP = "10.77.1.2", "10.77.1.3", "10.77.1.1", "10.77.2.2"
FAR_ROUTER_IP = "10.77.2.1"
# All that a tunnel of QUIC consists of.
UDP = "meta l4proto udp"
# The wrapper removes whatever has this prefix, should this program be killed.
PREFIX = os.environ.get("FAULTS_PREFIX", f"apf{os.getpid()}")
NUMBERS = itertools.count(1)


def need(*command, stdin=None):
    """Runs a command that must succeed; gives what it printed."""
    code, out, err = run(command, stdin=None if stdin is None else stdin.encode())
    if code != 0:
        fail(f"{' '.join(map(str, command))}: {err.strip()}")
    return out.decode(errors="replace")


class Net:
    """The namespaces of one row; leaving the context removes them."""

    def __init__(self, wire=()):
        self.wire = wire
        self.id = f"{PREFIX}n{next(NUMBERS)}"
        self.made = []

    def name(self, place):
        return f"{self.id}{place}"

    def inside(self, place):
        """What precedes a command that runs in that namespace."""
        return ["nsenter", f"--net=/run/netns/{self.name(place)}"]

    def within(self, place, *command, stdin=None):
        return need(*self.inside(place), *command, stdin=stdin)

    def __enter__(self):
        try:
            for place in (CLIENT, ROUTER, GATEWAY, *([WIRE] if self.wire else [])):
                need("ip", "netns", "add", self.name(place))
                self.made.append(place)
                self.within(place, "ip", "link", "set", "lo", "up")
            self.lay()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for place in self.made:
            subprocess.run(["ip", "netns", "del", self.name(place)], check=False)

    def lay(self):
        """Cables, addresses and routes."""
        if self.wire:
            self.cable((CLIENT, "net"), (WIRE, "left"))
            self.cable((WIRE, "right"), (ROUTER, "near"))
        else:
            self.cable((CLIENT, "net"), (ROUTER, "near"))
        self.cable((ROUTER, "far"), (GATEWAY, "net"))
        for place, device, address in (
            (CLIENT, "net", CLIENT_IP),
            (ROUTER, "near", NEAR_ROUTER_IP),
            (ROUTER, "far", FAR_ROUTER_IP),
            (GATEWAY, "net", GATEWAY_IP),
        ):
            self.within(place, "ip", "addr", "add", f"{address}/24", "dev", device)
        self.within(CLIENT, "ip", "route", "add", "default", "via", NEAR_ROUTER_IP)
        self.within(GATEWAY, "ip", "route", "add", "default", "via", FAR_ROUTER_IP)
        self.within(ROUTER, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.nft("add table ip faults", "add chain ip faults way { type filter hook forward priority 0; }")

    def cable(self, one, other):
        (place, device), (far_place, far_device) = one, other
        need(
            *("ip", "link", "add", device, "netns", self.name(place), "type", "veth"),
            *("peer", "name", far_device, "netns", self.name(far_place)),
        )
        for place, device in (one, other):
            offloads = "tx rx gso tso gro tx-udp-segmentation".split()
            switched = [word for offload in offloads for word in (offload, "off")]
            # Which of them a kernel has differs; those that matter are checked by what the rows see.
            run([*self.inside(place), "ethtool", "-K", device, *switched])
            self.within(place, "ip", "link", "set", device, "up")

    def nft(self, *commands):
        self.within(ROUTER, "nft", "-f", "-", stdin="\n".join(commands) + "\n")

    def fault(self, *rules):
        """Rules for what the router forwards, from now on and besides those that are there."""
        self.nft(*(f"add rule ip faults way {rule}" for rule in rules))

    def heal(self):
        """The router forwards everything again."""
        self.nft("flush chain ip faults way")

    def nat(self, ports):
        """The router hides the client behind these of its own ports, and forgets what it had hidden before."""
        self.nft(
            "add table ip hide",
            "add chain ip hide out { type nat hook postrouting priority 100; }",
            "add chain ip hide unknown { type filter hook input priority 0; }",
            "flush table ip hide",
            # What belongs to nobody here is not answered.
            "add rule ip hide unknown meta l4proto { tcp, udp } drop",
            f"add rule ip hide out oifname far meta l4proto {{ tcp, udp }} masquerade to :{ports}",
        )
        # Exits with 1 when there was nothing to forget.
        run([*self.inside(ROUTER), "conntrack", "-F"])

    def hidden(self):
        """What the router hides, as conntrack lists it."""
        return self.within(ROUTER, "conntrack", "-L")

    def change_address(self):
        """The client loses its address and gets another one, as on another network."""
        self.within(CLIENT, "ip", "addr", "del", f"{CLIENT_IP}/24", "dev", "net")
        self.within(CLIENT, "ip", "addr", "add", f"{OTHER_CLIENT_IP}/24", "dev", "net")
        # The old one took the route with it.
        self.within(CLIENT, "ip", "route", "replace", "default", "via", NEAR_ROUTER_IP)
