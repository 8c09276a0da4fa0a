"""How users get through the gateway, and what can come of a request."""

import asyncio
import base64
import os
import socket
import struct

from . import plan

GATEWAY = plan.GATEWAY_FOR["users"]
BLOCK = 65536


class Failed(Exception):
    """The user was told, or can tell, that it did not work."""


class Cut(Exception):
    """A stream ended early and looked complete, which not even a process that was killed may do."""


class Wrong(Exception):
    """What must never happen."""


def secret(group):
    """The password of a group's user."""
    return os.environ[f"SOAK_{group.upper()}"]


def authorization(group):
    """For the HTTP proxy."""
    pair = base64.b64encode(f"{group}:{secret(group)}".encode()).decode()
    return f"Proxy-Authorization: Basic {pair}\r\n"


async def dial(port, small=False):
    """A TCP connection to the gateway, `small` with little room for what comes."""
    sock = socket.socket()
    sock.setblocking(False)
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (GATEWAY, port))
        return await asyncio.open_connection(sock=sock, limit=8192 if small else BLOCK)
    except BaseException:
        sock.close()
        raise


async def connect(group, small=False):
    """A stream by CONNECT."""
    reader, writer = await dial(plan.HTTP, small)
    try:
        target = f"127.0.0.1:{plan.STREAM}"
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization(group)}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = head.split()[1]
        if status != "200":
            raise Failed(f"status {status}")
        return reader, writer
    except asyncio.IncompleteReadError:
        writer.transport.abort()
        raise Failed("closed without an answer") from None
    except BaseException:
        writer.transport.abort()
        raise


async def socks(group, small=False):
    """A stream by SOCKS5."""
    reader, writer, _ = await associate(group, 1, ("127.0.0.1", plan.STREAM), small)
    return reader, writer


async def associate(group, command, target, small=False):
    """Logs in at the SOCKS5 proxy and asks for something; gives the stream and the bound port."""
    reader, writer = await dial(plan.SOCKS5, small)
    name, word = group.encode(), secret(group).encode()
    try:
        writer.write(b"\x05\x01\x02")
        if await reader.readexactly(2) != b"\x05\x02":
            raise Failed("SOCKS5 method refused")
        writer.write(b"\x01" + bytes([len(name)]) + name + bytes([len(word)]) + word)
        if await reader.readexactly(2) != b"\x01\x00":
            raise Failed("SOCKS5 log-in refused")
        writer.write(struct.pack("!BBBB4sH", 5, command, 0, 1, socket.inet_aton(target[0]), target[1]))
        head = await reader.readexactly(4)
        rest = await reader.readexactly({1: 6, 4: 18}.get(head[3], 6))
        if head[1]:
            raise Failed(f"SOCKS5 reply {head[1]}")
        return reader, writer, struct.unpack("!H", rest[-2:])[0]
    except asyncio.IncompleteReadError:
        writer.transport.abort()
        raise Failed("closed without an answer") from None
    except BaseException:
        writer.transport.abort()
        raise


async def forward(group, small=False):
    """A stream by a forwarded port."""
    return await dial(plan.FORWARD[group], small)


STREAMS = {"connect": connect, "socks": socks, "forward": forward}
