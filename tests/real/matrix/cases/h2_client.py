"""An HTTP/2 user of the proxy port, by the `h2` package: curl does not tell why a CONNECT over HTTP/2 has
failed, and makes a connection for each tunnel."""

import socket
import ssl
from base64 import b64encode

import h2.config
import h2.connection
import h2.events
from h2.errors import ErrorCodes

from ..check import PATIENCE, fail, same, within
from ..lab import CLIENT_ONLY
from ..registry import case
from ..setups import HTTPS
from .curl_outcomes import OUTCOMES


class Proxy:
    """One connection to the proxy, with any number of tunnels."""

    def __init__(self, lab):
        context = ssl.create_default_context(cafile=str(lab.ca))
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", lab.ports["https"]), timeout=PATIENCE)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        same("ALPN", self.socket.selected_alpn_protocol(), "h2")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.heads, self.data, self.ended = {}, {}, set()

    def connect(self, target, credentials):
        """Asks for a tunnel; gives its stream."""
        stream = self.h2.get_next_available_stream_id()
        headers = [(":method", "CONNECT"), (":authority", target)]
        if credentials:
            headers.append(("proxy-authorization", f"Basic {b64encode(credentials.encode()).decode()}"))
        self.h2.send_headers(stream, headers)
        return stream

    def send(self, stream, data, end=False):
        self.h2.send_data(stream, data, end_stream=end)

    def until(self, what, probe):
        """Exchanges bytes until `probe` gives something true."""
        while not (found := probe()):
            self.socket.sendall(self.h2.data_to_send())
            received = self.socket.recv(1 << 16)
            if not received:
                fail(f"{what}: the proxy ended the connection")
            for event in self.h2.receive_data(received):
                self.take(event)
        self.socket.sendall(self.h2.data_to_send())
        return found

    def take(self, event):
        if isinstance(event, h2.events.ResponseReceived):
            self.heads[event.stream_id] = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
            # NO_ERROR behind a whole response: the rest of the request is not wanted.
            if event.error_code != ErrorCodes.NO_ERROR:
                fail(f"{type(event).__name__}: {event.error_code!r}")

    def head(self, stream):
        return self.until("the response", lambda: self.heads.get(stream))


@case("h2-outcomes", setup=HTTPS)
def outcomes(lab):
    """One connection: every failure with its status, and the connection lives on."""
    proxy, right = Proxy(lab), f"demo:{lab.password}"
    with proxy.socket:
        for target, status, error, _ in OUTCOMES.values():
            head = proxy.head(proxy.connect(target(), right))
            same(error, head[":status"], str(status))
            within("proxy-status", head["proxy-status"], f"error={error}")
        for wrong in ("demo:wrong", f"eve:{lab.password}", None):
            head = proxy.head(proxy.connect(f"{CLIENT_ONLY}:80", wrong))
            same(f"status for {wrong}", head[":status"], "407")
            within("challenge", head["proxy-authenticate"].lower(), 'basic realm="')
        head = proxy.head(proxy.connect(f"{CLIENT_ONLY}:{lab.targets.get('sum').port}", right))
        same("status", head[":status"], "200")


@case("h2-many-tunnels", setup=HTTPS)
def many(lab):
    """Fifty tunnels in one connection, all open at once, each with a half-close."""
    import hashlib

    proxy, target = Proxy(lab), f"{CLIENT_ONLY}:{lab.targets.get('sum').port}"
    with proxy.socket:
        streams = [proxy.connect(target, f"demo:{lab.password}") for _ in range(50)]
        for stream in streams:
            same("status", proxy.head(stream)[":status"], "200")
        for stream in streams:
            proxy.send(stream, str(stream).encode(), end=True)
        proxy.until("all answers", lambda: proxy.ended.issuperset(streams))
        for stream in streams:
            wanted = hashlib.sha256(str(stream).encode()).hexdigest()
            same("SHA-256", proxy.data[stream].decode().strip(), wanted)
