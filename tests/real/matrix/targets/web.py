"""A web server that does what proxies get wrong, and remembers what it saw."""

import http.server
import socket
import ssl
import threading
from collections import defaultdict

from .pages import Pages
from .tcp import Listener


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def handle_error(self, request, client_address):
        """Users who leave are part of the cases."""


class Server6(Server):
    address_family = socket.AF_INET6


class Web(Listener):
    """The server. `seen` has the requests by the `id` in their query, `events` what cases wait for."""

    def __init__(self, bench, host="127.0.0.1", tls=False, name="web"):
        self.name = name
        self.file = bench.file
        self.size = bench.file.stat().st_size
        self.seen = defaultdict(list)
        self.events = defaultdict(threading.Event)
        self.connections = 0
        handler = type("Handler", (Pages,), {"web": self})
        server = (Server6 if ":" in host else Server)((host, 0), handler)
        if tls:
            certs = bench.make_certificates("target-certs")
            self.ca = certs / "ca.crt"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certs / "gateway.crt", certs / "gateway.key")
            # The handshake happens in the connection's own thread, at its first read.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        super().__init__(server)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else shown}:{self.port}"

    def requests(self, key):
        """The requests with this `id`."""
        return self.seen[key]
