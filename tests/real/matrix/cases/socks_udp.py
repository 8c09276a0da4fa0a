"""SOCKS5 UDP ASSOCIATE (RFC 1928 section 7) for programs that know no proxies."""

import ipaddress
import socket
import struct
import threading

from ..check import PATIENCE


def read(sock, length):
    data = b""
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            raise ConnectionError("the proxy ended the connection")
        data += part
    return data


def associate(proxy, user, password):
    """Asks for an association: (the connection that keeps it, the address of the relay)."""
    control = socket.create_connection(proxy, timeout=PATIENCE)
    try:
        control.sendall(b"\x05\x01\x02")
        if read(control, 2) != b"\x05\x02":
            raise ConnectionError("the proxy wants no password")
        name, secret = user.encode(), password.encode()
        control.sendall(b"\x01" + bytes([len(name)]) + name + bytes([len(secret)]) + secret)
        if read(control, 2)[1] != 0:
            raise ConnectionError("wrong password")
        control.sendall(b"\x05\x03\x00\x01" + bytes(6))
        _, reply, _, kind = read(control, 4)
        host = ipaddress.ip_address(read(control, 16 if kind == 4 else 4))
        (port,) = struct.unpack("!H", read(control, 2))
        if reply != 0:
            raise ConnectionError(f"the proxy's reply is {reply}")
        return control, (proxy[0] if host.is_unspecified else str(host), port)
    except BaseException:
        control.close()
        raise


def datagram(host, port, data, fragment=0):
    """A datagram with the header that asks for `host:port`."""
    try:
        address = ipaddress.ip_address(host)
        kind = b"\x01" if address.version == 4 else b"\x04"
        target = kind + address.packed
    except ValueError:
        target = b"\x03" + bytes([len(host)]) + host.encode()
    return struct.pack("!HB", 0, fragment) + target + struct.pack("!H", port) + data


def payload(message):
    """What is behind the header."""
    kind = message[3]
    length = {1: 4, 4: 16}.get(kind) or 1 + message[4]
    return message[4 + length + 2 :]


class Relay:
    """A local UDP port whose datagrams go through one association to one target."""

    def __init__(self, proxy, user, password, host, port):
        self.control, self.relay = associate(proxy, user, password)
        self.target = (host, port)
        # Towards the program and towards the proxy.
        self.local = socket.socket(type=socket.SOCK_DGRAM)
        self.local.bind(("127.0.0.1", 0))
        self.port = self.local.getsockname()[1]
        self.user = socket.socket(type=socket.SOCK_DGRAM)
        self.user.bind(("127.0.0.1", 0))
        self.waiting = {}

    def __enter__(self):
        for work in (self.outwards, self.inwards):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(self, *_):
        for sock in (self.control, self.local, self.user):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def outwards(self):
        try:
            while True:
                data, peer = self.local.recvfrom(65_535)
                # The query's number tells whose answer it is.
                self.waiting[data[:2]] = peer
                self.user.sendto(datagram(*self.target, data), self.relay)
        except OSError:
            pass

    def inwards(self):
        try:
            # Nothing at all comes only when the socket has been shut down.
            while message := self.user.recv(65_535):
                data = payload(message)
                if peer := self.waiting.pop(data[:2], None):
                    self.local.sendto(data, peer)
        except OSError:
            pass
