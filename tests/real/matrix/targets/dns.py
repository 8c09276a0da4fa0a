"""A small authoritative name server (RFC 1035, EDNS of RFC 6891) over UDP and TCP."""

import socket
import socketserver
import struct

from .tcp import Listener, Server

A, TXT, OPT = 1, 16, 41
ADDRESS = "192.0.2.44"
SHORT = b"through the tunnel"
LONG_LENGTH = 3_000
# Room for an answer when the query does not tell.
CLASSIC = 512


def read_name(message, offset):
    """A name without compression, and where it ends."""
    labels = []
    while length := message[offset]:
        labels.append(message[offset + 1 : offset + 1 + length].decode().lower())
        offset += 1 + length
    return ".".join(labels), offset + 1


def strings(data):
    """TXT data: strings of at most 255 bytes."""
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts)


def answer(query, room):
    """The response; what does not fit `room` is left out with the truncation bit set."""
    number, _, _, _, _, additional = struct.unpack("!6H", query[:12])
    name, end = read_name(query, 12)
    kind = struct.unpack("!H", query[end : end + 2])[0]
    question = query[12 : end + 4]
    if room is None and additional and query[end + 4 : end + 7] == b"\0" + struct.pack("!H", OPT):
        room = struct.unpack("!H", query[end + 7 : end + 9])[0]
    data = {
        ("host.test", A): socket.inet_aton(ADDRESS),
        ("short.test", TXT): strings(SHORT),
        ("long.test", TXT): strings(b"x" * LONG_LENGTH),
    }.get((name, kind))
    records = b""
    if data:
        records = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
    opt = b"\0" + struct.pack("!HHIH", OPT, 4096, 0, 0) if additional else b""
    flags, count = 0x8400 if data else 0x8403, int(bool(data))
    if len(records) + len(question) + 12 + len(opt) > (CLASSIC if room is None else room):
        flags, count, records = flags | 0x0200, 0, b""
    head = struct.pack("!6H", number, flags, 1, count, 0, int(bool(opt)))
    return head + question + records + opt


class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        with self.request.makefile("rwb", buffering=0) as file:
            while len(head := file.read(2) or b"") == 2:
                query = file.read(struct.unpack("!H", head)[0])
                self.server.seen.append("tcp")
                response = answer(query, 65_535)
                file.write(struct.pack("!H", len(response)) + response)


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        query, sock = self.request
        self.server.seen.append("udp")
        sock.sendto(answer(query, None), self.client_address)


class Dns:
    """UDP and TCP on one port number. `seen` has the transport of each query."""

    def __init__(self):
        self.seen = []
        udp = None
        while udp is None:
            tcp = Server(("127.0.0.1", 0), Tcp)
            try:
                udp = socketserver.ThreadingUDPServer(tcp.server_address, Udp)
            except OSError:
                tcp.server_close()
        udp.daemon_threads, udp.block_on_close = True, False
        tcp.seen = udp.seen = self.seen
        self.listeners = [Listener(tcp), Listener(udp)]
        self.port = self.listeners[0].port

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.__exit__()
