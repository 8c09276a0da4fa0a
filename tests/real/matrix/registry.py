"""The cases: functions that take a lab (and a way, the ingress that they go through) and return when
what they are about holds."""

from dataclasses import dataclass, field
from typing import Callable


@dataclass(frozen=True)
class Forward:
    """A forwarded port of the gateway to one of the targets."""

    name: str
    target: str
    protocol: str = "tcp"
    proxy_protocol: str = ""


@dataclass(frozen=True)
class Setup:
    """A gateway and its clients."""

    name: str
    # Keys of the gateway that name an ingress; each gets a port that the system chooses.
    proxies: tuple = ("http", "socks5")
    # Named users besides the group's own.
    users: tuple = ()
    forwards: tuple = ()
    clients: tuple = ("client",)
    replicas: int = 0
    # All forwards, of all protocols and clients, ask for the same port number.
    one_port: str = ""
    # Further keys of the gateway's file, lines of TOML.
    gateway: tuple = ()


@dataclass(frozen=True)
class Way:
    """How a client comes in: what tells curl about it."""

    name: str
    setup: Setup
    curl: Callable
    # Whether the proxy only sees a tunnel (CONNECT, SOCKS5) and not the requests.
    tunnel: str = ""


@dataclass(frozen=True)
class Case:
    """One line of the report for each transport."""

    name: str
    setup: Setup
    run: Callable = field(compare=False)


CASES = []


def case(name, setup=None, ways=()):
    """Registers the function below: once for `setup`, or for each of `ways`."""

    def register(function):
        if setup:
            CASES.append(Case(name, setup, function))
        for way in ways:
            body = lambda lab, way=way: function(lab, way)  # noqa: E731
            CASES.append(Case(f"{name}:{way.name}", way.setup, body))
        return function

    return register
