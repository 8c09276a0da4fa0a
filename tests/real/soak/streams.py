"""What users do with streams. Each gives the bytes that were moved and checked."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

from .plan import HUNG_AFTER, pattern
from .ways import BLOCK, STREAMS, Cut, Wrong


class Expected:
    """Compares what comes with what has to come, in blocks."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, block):
        if self.data[self.at : self.at + len(block)] != block:
            raise Wrong(f"wrong bytes after {self.at} of {len(self.data)}")
        self.at += len(block)

    def end(self):
        if self.at != len(self.data):
            raise Cut(f"{self.at} of {len(self.data)} bytes, then a proper end")


def reset(writer):
    """Ends a stream with a reset."""
    sock = writer.get_extra_info("socket")
    if not writer.transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def opened(way, group, small=False):
    """A stream. Who gives it up leaves with a reset, so that the target does not take it for the end."""
    reader, writer = await STREAMS[way](group, small)
    try:
        yield reader, writer
    except BaseException:
        reset(writer)
        raise
    finally:
        writer.transport.abort()


async def read_all(reader, expected, pause=0.0, block=BLOCK):
    """Checks everything up to the end."""
    while data := await reader.read(block):
        expected.take(data)
        if pause:
            await asyncio.sleep(pause)
    expected.end()


async def echo(way, group, key, size):
    """Sends bytes that have to come back, with the end of the one direction before that of the other."""
    data = pattern(key, size)
    async with opened(way, group) as (reader, writer):
        reading = asyncio.ensure_future(read_all(reader, Expected(data)))
        try:
            writer.write(f"echo {size}\n".encode())
            for at in range(0, size, BLOCK):
                writer.write(data[at : at + BLOCK])
                await writer.drain()
            writer.write_eof()
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    return 2 * size


async def rest(way, group, key, rounds, quiet):
    """A connection that mostly rests: `rounds` exchanges, with pauses that `quiet` (an event) cuts short."""
    data = pattern(key, rounds * 200)
    async with opened(way, group) as (reader, writer):
        writer.write(f"echo {len(data)}\n".encode())
        for at in range(0, len(data), 200):
            part = data[at : at + 200]
            writer.write(part)
            try:
                async with asyncio.timeout(HUNG_AFTER):
                    back = await reader.readexactly(len(part))
            except asyncio.IncompleteReadError:
                raise Cut("a resting stream ended properly") from None
            if back != part:
                raise Wrong(f"wrong bytes after {at} on a resting stream")
            try:
                await asyncio.wait_for(quiet.wait(), 7)
            except TimeoutError:
                pass
        writer.write_eof()
        if await reader.read(1):
            raise Wrong("bytes after the end")
    return 2 * len(data)


async def slow(way, group, key, size):
    """A reader that takes its time."""
    async with opened(way, group, small=True) as (reader, writer):
        writer.write(f"send {key} {size}\n".encode())
        await read_all(reader, Expected(pattern(key, size)), pause=0.05, block=size // 200)
    return size


async def leave(way, group, key, size):
    """A user who goes away with a reset in the middle."""
    data = pattern(key, size)
    async with opened(way, group) as (reader, writer):
        writer.write(f"echo {size}\n".encode() + data[: size // 2])
        part = await reader.read(BLOCK)
        if not part:
            raise Cut("ended properly before anything came back")
        Expected(data).take(part)
        reset(writer)
    return len(part)


async def left(way, group, key, size):
    """A target that goes away with a reset in the middle: the user has to see a reset."""
    expected = Expected(pattern(key, size))
    async with opened(way, group) as (reader, writer):
        writer.write(f"reset {key} {size}\n".encode())
        try:
            while data := await reader.read(BLOCK):
                expected.take(data)
        except ConnectionResetError:
            return expected.at
        raise Cut("the target's reset came as a proper end")
