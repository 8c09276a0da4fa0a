"""A WebSocket through the proxies, by the `websockets` package."""

import os
import socket
from base64 import b64encode

import websockets.client
import websockets.sync.client
from websockets.frames import Opcode
from websockets.uri import parse_uri

from ..check import PATIENCE, fail, same, until
from ..registry import case
from ..setups import BASE, HTTPS, MIXED

MESSAGE = os.urandom(1 << 20)


def tunnel(lab, proxy):
    """A library that does CONNECT or SOCKS5 by itself."""
    target = lab.targets.get("websocket")
    closes = len(target.closes)
    with websockets.sync.client.connect(
        f"ws://localhost:{target.port}/",
        proxy=proxy,
        compression=None,
        max_size=1 << 24,
        open_timeout=PATIENCE,
    ) as connection:
        if not connection.ping().wait(PATIENCE):
            fail("no pong")
        for message in (MESSAGE, "text", "", MESSAGE[:70_000]):
            connection.send(message)
            same("echo", connection.recv(PATIENCE), message)
        connection.close(4001, "enough")
    until("the target sees the close", lambda: len(target.closes) > closes)
    same("close at the target", target.closes[-1], (4001, "enough"))


@case("websocket-connect", setup=BASE)
def connect(lab):
    tunnel(lab, lab.url("http", "http"))


@case("websocket-socks5h", setup=BASE)
def socks5h(lab):
    tunnel(lab, lab.url("socks5h", "socks5"))


@case("websocket-mixed", setup=MIXED)
def mixed(lab):
    tunnel(lab, lab.url("http", "mixed"))
    tunnel(lab, lab.url("socks5h", "mixed"))


class Upgraded:
    """A WebSocket by a plain proxied request: `GET http://…` with `Upgrade` (RFC 9110 section 7.8)."""

    def __init__(self, lab, target, wrap=None, ingress="http"):
        self.socket = socket.create_connection(("127.0.0.1", lab.ports[ingress]), timeout=PATIENCE)
        if wrap:
            self.socket = wrap(self.socket)
        url = f"localhost:{target.port}/"
        self.protocol = websockets.client.ClientProtocol(parse_uri(f"ws://{url}"), max_size=1 << 24)
        request = self.protocol.connect()
        request.path = f"http://{url}"
        credentials = b64encode(f"demo:{lab.password}".encode()).decode()
        request.headers["Proxy-Authorization"] = f"Basic {credentials}"
        self.protocol.send_request(request)
        self.events = []

    def flush(self):
        for data in self.protocol.data_to_send():
            if data:
                self.socket.sendall(data)

    def next(self):
        """The next event: the handshake's response, then frames."""
        self.flush()
        while not self.events:
            data = self.socket.recv(1 << 16)
            if data:
                self.protocol.receive_data(data)
            else:
                self.protocol.receive_eof()
            self.flush()
            self.events += self.protocol.events_received()
            if not data and not self.events:
                fail(f"the connection ended: {self.protocol.handshake_exc or 'after the handshake'}")
        return self.events.pop(0)

    def message(self):
        """A whole message, however it was cut into frames."""
        data = b""
        while True:
            frame = self.next()
            data += frame.data
            if frame.fin:
                return frame.opcode, data


def upgrade(lab, wrap=None, ingress="http"):
    target = lab.targets.get("websocket")
    closes = len(target.closes)
    user = Upgraded(lab, target, wrap, ingress)
    with user.socket:
        response = user.next()
        same("status", getattr(response, "status_code", response), 101)
        user.protocol.send_ping(b"are you there")
        frame = user.next()
        same("pong", (frame.opcode, bytes(frame.data)), (Opcode.PONG, b"are you there"))
        for data in (MESSAGE, b"", MESSAGE[:70_000]):
            user.protocol.send_binary(data)
            opcode, seen = user.message()
            same("echo", (opcode in (Opcode.BINARY, Opcode.CONT), seen == data), (True, True))
        user.protocol.send_close(4001, "enough")
        same("close", user.next().opcode, Opcode.CLOSE)
    until("the target sees the close", lambda: len(target.closes) > closes)
    same("close at the target", target.closes[-1], (4001, "enough"))


@case("websocket-upgrade", setup=BASE)
def upgrade_http(lab):
    upgrade(lab)


@case("websocket-upgrade-https", setup=HTTPS)
def upgrade_https(lab):
    import ssl

    context = ssl.create_default_context(cafile=str(lab.ca))
    context.set_alpn_protocols(["http/1.1"])
    upgrade(lab, lambda sock: context.wrap_socket(sock, server_hostname="localhost"), "https")


@case("websocket-upgrade-mixed", setup=MIXED)
def upgrade_mixed(lab):
    upgrade(lab, ingress="mixed")
