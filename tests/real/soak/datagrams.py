"""What users do with datagrams: they ask again when nothing comes, as DNS does."""

import asyncio
import socket
import struct

from . import plan
from .plan import pattern
from .ways import GATEWAY, Failed, Wrong, associate

TARGET = struct.pack("!4sH", socket.inet_aton("127.0.0.1"), plan.STREAM)
HEADER = b"\0\0\0\x01" + TARGET


class Inbox(asyncio.DatagramProtocol):
    """Keeps what came, of one socket."""

    def __init__(self):
        self.came = asyncio.Queue(64)

    def datagram_received(self, data, _peer):
        if not self.came.full():
            self.came.put_nowait(data)

    def error_received(self, _error):
        """ICMP while there is no gateway: the next try tells."""


async def exchange(port, header, key, sizes, tries=6, patience=1.5):
    """Sends each datagram until its answer is there. An answer is one of those that this socket sent."""
    loop = asyncio.get_running_loop()
    transport, inbox = await loop.create_datagram_endpoint(Inbox, remote_addr=(GATEWAY, port))
    sent = set()
    try:
        for number, size in enumerate(sizes):
            data = header + pattern(f"{key}.{number}", size)
            sent.add(data)
            for _ in range(tries):
                transport.sendto(data)
                if await answered(inbox, data, sent, patience):
                    break
            else:
                raise Failed("no answer to a datagram")
        return 2 * sum(sizes)
    finally:
        transport.abort()


async def answered(inbox, data, sent, patience):
    try:
        async with asyncio.timeout(patience):
            while True:
                came = await inbox.came.get()
                if came not in sent:
                    raise Wrong(f"a foreign datagram of {len(came)} bytes")
                if came == data:
                    return True
    except TimeoutError:
        return False


async def forward(group, key, sizes):
    """Datagrams to a forwarded port."""
    return await exchange(plan.FORWARD[group], b"", key, sizes)


async def socks(group, key, sizes):
    """Datagrams over a SOCKS5 association."""
    _, writer, port = await associate(group, 3, ("0.0.0.0", 0))
    try:
        return await exchange(port, HEADER, key, sizes)
    finally:
        writer.transport.abort()
