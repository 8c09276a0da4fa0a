"""TCP targets."""

import hashlib
import socketserver
import threading


class Server(socketserver.ThreadingTCPServer):
    """A TCP server in threads, on a port that the system chooses."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def handle_error(self, request, client_address):
        """Users who leave are part of the cases."""


class Listener:
    """Serves until closed."""

    def __init__(self, server):
        self.server = server
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Sum(Listener):
    """Reads until the end, and only then answers with the SHA-256: it needs a half-close."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            digest = hashlib.sha256()
            while block := self.request.recv(1 << 16):
                digest.update(block)
            self.request.sendall(digest.hexdigest().encode() + b"\n")

    def __init__(self):
        super().__init__(Server(("127.0.0.1", 0), self.Handler))
