"""The pages of the web target."""

import hashlib
import http.server
import json
import re
from urllib.parse import parse_qs, urlsplit

from ..check import PATIENCE

BLOCK = 1 << 18
ETAG = '"one"'
# Of a page with sub-resources, how many of each kind.
ASSETS = {"js": 8, "css": 6, "svg": 8, "json": 8}


class Pages(http.server.BaseHTTPRequestHandler):
    """Each method name is a path: `/events` is `get_events`."""

    protocol_version = "HTTP/1.1"
    web = None

    def setup(self):
        super().setup()
        self.web.connections += 1

    def log_message(self, *_):
        pass

    def handle_expect_100(self):
        """`/refuse/401`: the answer comes before the body, which is never asked for."""
        if urlsplit(self.path).path.startswith("/refuse/"):
            return True
        return super().handle_expect_100()

    def note(self):
        """Remembers the request; the query is kept."""
        parts = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.record = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": 0}
        self.web.seen[self.query.get("id")].append(self.record)
        return parts.path.strip("/").split("/")

    def do_GET(self):
        words = self.note()
        page = getattr(self, f"get_{words[0]}", None)
        if page:
            page(*words[1:])
        else:
            self.send(404, b"no such page\n")

    do_HEAD = do_GET

    def do_PUT(self):
        words = self.note()
        if words[0] == "refuse":
            self.refuse(int(words[1]))
            return
        digest = hashlib.sha256()
        for block in self.body():
            self.record["body"] += len(block)
            digest.update(block)
        self.send(200, digest.hexdigest().encode())

    do_POST = do_PUT

    def refuse(self, status):
        if "100-continue" not in self.headers.get("Expect", ""):
            self.do_late_body()
            return
        self.send(status, b"refused\n")
        if status == 417:
            # curl repeats the request on the same connection, as if no body had been announced.
            return
        # Whoever does not send the announced body has to end the connection.
        self.close_connection = True
        self.connection.settimeout(PATIENCE)
        try:
            while block := self.rfile.read1(BLOCK):
                self.record["body"] += len(block)
        finally:
            self.record["ended"] = True

    def do_late_body(self):
        """The body came although nobody asked: curl repeats a 417 without `Expect`."""
        length = sum(len(block) for block in self.body())
        self.record["body"] = length
        self.send(200, b"taken\n")

    def body(self):
        """The request's body in blocks."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left and (block := self.rfile.read(min(left, BLOCK))):
            left -= len(block)
            yield block

    def send(self, status, body, headers=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def get_hello(self):
        self.send(200, b"hello\n", {"Content-Type": "text/plain"})

    def get_who(self):
        self.send(200, self.web.name.encode() + b"\n")

    def get_headers(self):
        """The request's head, as it arrived."""
        self.send(200, json.dumps({"line": self.requestline, **dict(self.headers)}).encode())

    def get_etag(self):
        if self.headers.get("If-None-Match") == ETAG:
            self.send_response(304)
            self.send_header("ETag", ETAG)
            self.end_headers()
        else:
            self.send(200, b"tagged\n", {"ETag": ETAG})

    def get_file(self):
        """The big file, whole or from a range."""
        start, end = 0, self.web.size - 1
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(wanted[1]), int(wanted[2] or end)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end}/{self.web.size}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start + 1))
        self.end_headers()
        if self.command != "HEAD":
            self.copy(start, end - start + 1)

    def copy(self, start, left):
        with open(self.web.file, "rb") as file:
            file.seek(start)
            while left and (block := file.read(min(left, BLOCK))):
                self.wfile.write(block)
                left -= len(block)

    def get_early(self):
        """103 Early Hints (RFC 8297), then the answer."""
        self.send_response_only(103)
        self.send_header("Link", "</style.css>; rel=preload; as=style")
        self.end_headers()
        self.send(200, b"late\n")

    def get_trailers(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Trailer", "X-Sum")
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n0\r\nX-Sum: 5d41402a\r\n\r\n")

    def get_events(self):
        """An event, and a second one only after the user has asked for it on another connection."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(b"data: first\n\n")
        self.web.events[self.query["id"]].wait(PATIENCE)
        self.chunk(b"data: second\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def get_release(self):
        self.web.events[self.query["id"]].set()
        self.send(200, b"released\n")

    def get_drip(self):
        """Half of an answer, the other half when it is released."""
        half = b"x" * 65_536
        self.send_response(200)
        self.send_header("Content-Length", str(2 * len(half)))
        self.end_headers()
        self.wfile.write(half)
        self.web.events[self.query["id"]].wait(PATIENCE)
        self.wfile.write(half)

    def get_page(self):
        """A page whose title counts the sub-resources that arrived."""
        run = self.query["id"]
        name = lambda kind, i: f"/asset/{i}.{kind}?id={run}"  # noqa: E731
        parts = [f'<link rel="stylesheet" href="{name("css", i)}" onload="got()">' for i in range(ASSETS["css"])]
        parts += [f'<script src="{name("js", i)}"></script>' for i in range(ASSETS["js"])]
        parts += [f'<img src="{name("svg", i)}" onload="got()">' for i in range(ASSETS["svg"])]
        fetches = json.dumps([name("json", i) for i in range(ASSETS["json"])])
        head = "<script>let n = 0; function got() { document.title = 'got ' + ++n; }</script>"
        tail = (
            f"<script>for (const url of {fetches}) fetch(url).then(r => r.json())"
            ".then(v => { if (v.ok) got(); });</script>"
        )
        page = f"<!doctype html><html><head><title>start</title>{head}</head><body>{''.join(parts)}{tail}"
        self.send(200, page.encode(), {"Content-Type": "text/html"})

    def get_asset(self, name):
        """One sub-resource; scripts count themselves when they run."""
        kind = name.rsplit(".", 1)[1]
        body, mime = {
            "js": (f"got(); // {'j' * 20_000}", "text/javascript"),
            "css": (f".a {{ color: red }} /* {'c' * 20_000} */", "text/css"),
            "svg": ('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>', "image/svg+xml"),
            "json": (json.dumps({"ok": True, "fill": "f" * 20_000}), "application/json"),
        }[kind]
        self.send(200, body.encode(), {"Content-Type": mime, "Cache-Control": "no-store"})

    def get_favicon(self):
        self.send(404, b"")
