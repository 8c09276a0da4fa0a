"""What users do with the HTTP proxy. Each gives the bytes that were moved and checked."""

import asyncio

from . import plan
from .plan import pattern
from .ways import BLOCK, Failed, Wrong, authorization, dial

TARGET = f"127.0.0.1:{plan.WEB}"


def head(method, path, group, more=""):
    return f"{method} http://{TARGET}{path} HTTP/1.1\r\nHost: {TARGET}\r\n{authorization(group)}{more}\r\n".encode()


async def answer(reader):
    """Status and whole body. An HTTP user can tell an answer that is not whole."""
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        status = lines[0].split()[1]
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        if headers.get("transfer-encoding") != "chunked":
            return status, await reader.readexactly(int(headers["content-length"]))
        body = bytearray()
        while size := int((await reader.readuntil(b"\r\n")), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return status, bytes(body)
    except asyncio.IncompleteReadError as error:
        raise Failed("incomplete answer" if error.partial else "closed in an answer") from None
    except (ValueError, IndexError, KeyError) as error:
        raise Wrong(f"no HTTP: {error!r}") from None


def check(status, body, want):
    if status != "200":
        raise Failed(f"status {status}")
    if body != want:
        raise Wrong(f"wrong body: {len(body)} bytes for {len(want)}")


async def get(group, key, sizes, way):
    """Some GETs on one connection."""
    reader, writer = await dial(plan.HTTP)
    try:
        for number, size in enumerate(sizes):
            one = f"{key}.{number}"
            writer.write(head("GET", f"/{one}/{size}/{way}", group))
            check(*await answer(reader), pattern(one, size))
        return sum(sizes)
    finally:
        writer.transport.abort()


async def post(group, key, size):
    """A POST whose target answers with the digest of what it got."""
    reader, writer = await dial(plan.HTTP)
    body = pattern(key, size)
    try:
        writer.write(head("POST", "/", group, f"Content-Length: {size}\r\n"))
        for at in range(0, size, BLOCK):
            writer.write(body[at : at + BLOCK])
            await writer.drain()
        check(*await answer(reader), plan.digest(body))
        return size
    finally:
        writer.transport.abort()


async def get_cut(group, key, size, way):
    """A GET whose target goes away in the middle: the answer must not look whole."""
    reader, writer = await dial(plan.HTTP)
    try:
        writer.write(head("GET", f"/{key}/{size}/cut-{way}", group))
        status, _ = await answer(reader)
    except (Failed, ConnectionResetError):
        return 0
    finally:
        writer.transport.abort()
    if status == "200":
        raise Wrong("half an answer looked whole")
    return 0
