"""A WebSocket echo."""

import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


class Echo:
    def __init__(self):
        self.closes = []
        self.server = serve(self.handle, "127.0.0.1", 0, max_size=1 << 24, compression=None)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handle(self, connection):
        try:
            while True:
                connection.send(connection.recv())
        except ConnectionClosed:
            self.closes.append((connection.close_code, connection.close_reason))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
