"""The networks that a pair runs in: one namespace, or two with a link between them.

    loopback:   A = B, 127.0.0.1
    link:       A 198.18.0.1 ── veth ── M: link ── veth ── B 198.18.0.2

198.18.0.0/15 is for benchmarks (RFC 2544). Nothing else of the machine is reachable, and no port can clash.
"""

import itertools
import json
import os
import subprocess
import sys
import time

from . import programs
from .process import Process, command

CONTROL = "net.ipv4.tcp_congestion_control"
OFFLOADS = ("tso", "gso", "gro", "tx", "rx", "sg")
SETTINGS = ("net.ipv4.ip_local_port_range=20000 65000", "net.ipv4.tcp_max_syn_backlog=8192",
            "net.core.somaxconn=8192", "net.ipv6.conf.all.disable_ipv6=1")
_number = itertools.count(1)


class Missing(RuntimeError):
    """This machine cannot do what was asked for; the text says what to do."""


def _create(side, control):
    name = f"bench{os.getpid()}n{next(_number)}{side}"
    command("ip", "netns", "add", name)
    command("ip", "-n", name, "link", "set", "lo", "up")
    for setting in SETTINGS:
        command("ip", "netns", "exec", name, "sysctl", "-qw", setting, check=False)
    if control:
        command("ip", "netns", "exec", name, "sysctl", "-qw", f"{CONTROL}={control}", check=False)
    return name


def congestion_control(namespace):
    return command("ip", "netns", "exec", namespace, "sysctl", "-n", CONTROL).strip()


def control_obstacle(control):
    """Why a namespace cannot use a congestion control here; None if it can."""
    name = _create("C", control)
    try:
        got = congestion_control(name)
    finally:
        command("ip", "netns", "del", name, check=False)
    if got == control:
        return None
    allowed = command("sysctl", "-n", "net.ipv4.tcp_allowed_congestion_control", check=False).strip()
    return (f"TCP congestion control {control} is not to be had in a namespace, which gets {got}: this machine allows "
            f"'{allowed}'. Allow it first: sysctl -w net.ipv4.tcp_allowed_congestion_control='{allowed} {control}'")


class Loopback:
    a_address = b_address = "127.0.0.1"
    shaped = False

    def __init__(self, control=None):
        self.a = self.b = _create("A", control)
        self.control = congestion_control(self.a)

    def close(self):
        command("ip", "netns", "del", self.a, check=False)


class Link:
    a_address, b_address = "198.18.0.1", "198.18.0.2"
    shaped = True

    def __init__(self, shape, directory, control=None):
        """`shape`: the options of bench/link, as a dictionary."""
        self.names, self.process = [], None
        try:
            self.a, self.m, self.b = (self._create(side, control) for side in "AMB")
            self.control = congestion_control(self.a)
            if control and self.control != control:
                raise Missing(control_obstacle(control))
            self._wire()
            self._start(shape, directory)
        except BaseException:
            self.close()
            raise

    def _create(self, side, control):
        self.names.append(_create(side, control))
        return self.names[-1]

    def _wire(self):
        for namespace, address, near, far in ((self.a, self.a_address, "va", "am"), (self.b, self.b_address, "vb", "bm")):
            command("ip", "-n", namespace, "link", "add", near, "type", "veth", "peer", "name", far, "netns", self.m)
            command("ip", "-n", namespace, "address", "add", f"{address}/30", "dev", near)
            for where, interface in ((namespace, near), (self.m, far)):
                for offload in OFFLOADS:
                    command("ip", "netns", "exec", where, "ethtool", "-K", interface, offload, "off", check=False)
                command("ip", "-n", where, "link", "set", interface, "up")
        # Who has which address is told, not asked: a lost question would cost a second.
        self._neighbour(self.a, "va", self.b_address, self._hardware(self.b, "vb"))
        self._neighbour(self.b, "vb", self.a_address, self._hardware(self.a, "va"))

    @staticmethod
    def _hardware(namespace, interface):
        return json.loads(command("ip", "-n", namespace, "-j", "link", "show", interface))[0]["address"]

    @staticmethod
    def _neighbour(namespace, interface, address, hardware):
        command("ip", "-n", namespace, "neigh", "replace", address, "lladdr", hardware, "dev", interface,
                "nud", "permanent")

    def _start(self, shape, directory):
        options = [word for name, value in shape.items() for word in (f"--{name}", str(value))]
        opener = os.path.join(os.path.dirname(os.path.abspath(__file__)), "link_sockets.py")
        self.process = Process(self.m, [sys.executable, opener, "am", "bm", programs.built("link"), *options],
                               os.path.join(directory, "link.log"), stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not self.counts():
            if not self.process.alive() or time.monotonic() > end:
                raise RuntimeError(f"the link did not start: {self.process.said()}")
            time.sleep(0.05)

    def counts(self):
        """What the link has counted until at most half a second ago; None before the first time."""
        for line in reversed(self.process.said(2000).split(" ")):
            try:
                return json.loads(line)
            except ValueError:
                continue
        return None

    def close(self):
        if self.process:
            self.process.kill()
        for name in self.names:
            command("ip", "netns", "del", name, check=False)
