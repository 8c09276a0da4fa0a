"""The target: a web server that sends the first bytes of a file at once or over a time, and digests what it gets.

    target.py FILE PORT

    GET /hello                 "hello"
    GET /bytes/COUNT           so many bytes
    GET /slow/COUNT/SECONDS    the same, in equal parts over a time: what is not sent yet is in no buffer
    PUT /                      the SHA-256 of the body
"""

import hashlib
import http.server
import sys
import time

FILE, PORT = sys.argv[1], int(sys.argv[2])
BLOCK = 1 << 16
PARTS_PER_SECOND = 20
CONTENT = open(FILE, "rb").read()


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        match self.path.strip("/").split("/"):
            case ["hello"]:
                self.answer(b"hello\n")
            case ["bytes", count]:
                self.answer(CONTENT[: int(count)])
            case ["slow", count, seconds]:
                self.slow(CONTENT[: int(count)], float(seconds))
            case _:
                self.send_error(404)

    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left and (block := self.rfile.read(min(left, BLOCK))):
            digest.update(block)
            left -= len(block)
        self.answer(digest.hexdigest().encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def slow(self, body, seconds):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        parts = max(1, int(seconds * PARTS_PER_SECOND))
        began = time.monotonic()
        for part in range(parts):
            pause = began + seconds * part / parts - time.monotonic()
            time.sleep(max(0, pause))
            self.wfile.write(body[len(body) * part // parts : len(body) * (part + 1) // parts])
            self.wfile.flush()


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512

    def handle_error(self, *_):
        """A user who went away is part of every row."""


server = Server(("127.0.0.1", PORT), Web)
print("listening", flush=True)
server.serve_forever()
