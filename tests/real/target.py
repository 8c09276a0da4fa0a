#!/usr/bin/env python3
"""Targets for transfers.sh: a web server that sends and digests a file, and an echo."""

import hashlib
import http.server
import socketserver
import sys
import threading

FILE, WEB, ECHO = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BLOCK = 1 << 18


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path != "/file":
            self.answer(b"hello\n")
            return
        with open(FILE, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            while block := file.read(BLOCK):
                self.wfile.write(block)

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left and (block := self.rfile.read(min(left, BLOCK))):
            digest.update(block)
            left -= len(block)
        self.answer(f"{digest.hexdigest()}  -\n".encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while block := self.request.recv(BLOCK):
            self.request.sendall(block)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


web = http.server.ThreadingHTTPServer(("127.0.0.1", WEB), Web)
threading.Thread(target=web.serve_forever, daemon=True).start()
Server(("127.0.0.1", ECHO), Echo).serve_forever()
