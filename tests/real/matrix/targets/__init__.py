"""What the clients reach: servers on loopback, made when a case first asks for one.

Those in Python run in threads of the matrix itself, so that a case can ask them what they saw.
"""

from contextlib import ExitStack

from . import dns, programs, tcp, web, websocket


class Targets:
    """All targets, by name."""

    def __init__(self, bench):
        self.bench = bench
        self.stack = ExitStack()
        self.made = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def get(self, kind, client=""):
        """The target of this kind; one that tells clients apart exists once for each of them."""
        key = f"{kind}-{client}" if kind == "who" else kind
        if key not in self.made:
            self.made[key] = self.stack.enter_context(MAKERS[kind](self.bench, key))
        return self.made[key]

    def address(self, kind, client=""):
        """Its `host:port`."""
        return f"127.0.0.1:{self.get(kind, client).port}"


MAKERS = {
    "web": lambda bench, _: web.Web(bench),
    "web6": lambda bench, _: web.Web(bench, host="::1"),
    "tls": lambda bench, _: web.Web(bench, tls=True),
    "who": lambda bench, key: web.Web(bench, name=key),
    "sum": lambda *_: tcp.Sum(),
    "dns": lambda *_: dns.Dns(),
    "websocket": lambda *_: websocket.Echo(),
    "ssh": lambda bench, _: programs.Sshd(bench),
    "iperf": lambda bench, _: programs.Iperf(bench),
    "haproxy": lambda bench, _: programs.Haproxy(bench),
    "nginx": lambda bench, _: programs.Nginx(bench),
}
