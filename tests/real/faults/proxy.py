"""An HTTP proxy (CONNECT) that cuts each connection after a fixed time, whatever flows.

    proxy.py IP PORT SECONDS

Prints a line for each connection that it makes and cuts.
"""

import select
import socket
import sys
import threading
import time

IP, PORT, SECONDS = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
BLOCK = 1 << 16


def head_of(near):
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < BLOCK:
        some = near.recv(1)
        if not some:
            raise OSError("no request")
        head += some
    return head.decode()


def copy_until(end, near, far):
    """Both ways until one side closes, or the time is over."""
    other = {near: far, far: near}
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([near, far], [], [], left)
        for source in ready:
            data = source.recv(BLOCK)
            if not data:
                return
            other[source].sendall(data)
    print("cut", flush=True)


def serve(near):
    end = time.monotonic() + SECONDS
    with near:
        try:
            host, _, port = head_of(near).split()[1].rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as far:
                far.settimeout(None)
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                print("made", flush=True)
                copy_until(end, near, far)
        except OSError:
            pass


listener = socket.create_server((IP, PORT))
print("listening", flush=True)
while True:
    conn, _ = listener.accept()
    threading.Thread(target=serve, args=(conn,), daemon=True).start()
