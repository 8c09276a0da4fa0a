"""The targets beside a client: streams, a web server and datagrams. Runs in the client's namespace.

    python3 -m soak.targets

A stream begins with a line that says what its user wants, and how many bytes are to come:

    echo SIZE          everything comes back, then the end
    send KEY SIZE      the pattern of the key, then the end
    reset KEY SIZE     the same, then a reset instead of the end

Prints a line of JSON for what no user can see: an upload that ended early and looked complete; and once a second
how many connections there are.
"""

import asyncio
import json
import logging
import socket
import struct
import time

from .plan import STREAM, WEB, digest, pattern

BLOCK = 65536
live = set()


def tell(**event):
    print(json.dumps(event), flush=True)


def reset(writer):
    """Ends a connection with a reset."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def stream(reader, writer):
    """One connection of the stream target."""
    start = time.monotonic()
    line = await reader.readline()
    words = line.decode().split()
    if not line.endswith(b"\n"):
        return
    if words[0] != "echo":
        writer.write(pattern(words[1], int(words[2])))
        await writer.drain()
        if words[0] == "reset":
            reset(writer)
        return
    want, came = int(words[1]), 0
    while block := await reader.read(BLOCK):
        came += len(block)
        writer.write(block)
        await writer.drain()
    if came != want:
        tell(cut=f"{came} of {want} bytes of an upload, then a proper end", start=start, end=time.monotonic())


async def web(reader, writer):
    """One connection of the web target: GET /KEY/SIZE/WAY, POST with a length; more requests may follow."""
    while line := await reader.readline():
        method, path, _ = line.decode().split(" ", 2)
        headers = {}
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, value = line.decode().split(":", 1)
            headers[name.lower()] = value.strip()
        if method == "POST":
            body = digest(await reader.readexactly(int(headers["content-length"])))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        elif not serve(writer, *path.strip("/").split("/")):
            await writer.drain()
            reset(writer)
            return
        await writer.drain()


def serve(writer, key, size, way):
    """Answers a GET; says whether the answer is whole."""
    body = pattern(key, int(size))
    part = body if not way.startswith("cut") else body[: len(body) // 2]
    if way.endswith("chunked"):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(part), 10000):
            block = part[at : at + 10000]
            writer.write(b"%x\r\n%s\r\n" % (len(block), block))
        if part is body:
            writer.write(b"0\r\n\r\n")
    else:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(part)
    return part is body


def accept(serve_one):
    """Runs one connection to its end, whatever its user does."""

    async def handle(reader, writer):
        live.add(writer)
        try:
            await serve_one(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass
            live.discard(writer)

    return handle


class Datagrams(asyncio.DatagramProtocol):
    """Sends each datagram back."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.transport.sendto(data, peer)


async def main():
    loop = asyncio.get_running_loop()
    await asyncio.start_server(accept(stream), "127.0.0.1", STREAM)
    await asyncio.start_server(accept(web), "127.0.0.1", WEB)
    await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", STREAM))
    tell(ready=True)
    while True:
        tell(live=len(live))
        await asyncio.sleep(1)


if __name__ == "__main__":
    # It warns of writes to connections that are gone.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(main())
