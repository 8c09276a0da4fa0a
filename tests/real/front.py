"""A front that lies: ends TLS, adds a forged address to the request, and goes on over TLS.

    front.py CERTIFICATE KEY PORT GATEWAY_PORT CA WAY

WAY is `headers` (X-Forwarded-For and Forwarded) or `proxy-protocol` (raw, with a forged header in front of the
client's own TLS). Prints a line when it listens.
"""
import socket
import ssl
import sys
import threading

FORGED = "203.0.113.66"
certificate, key, port, gateway, ca, way = sys.argv[1:]


def copy(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(near):
    try:
        far = socket.create_connection(("127.0.0.1", int(gateway)))
        if way == "proxy-protocol":
            far.sendall(f"PROXY TCP4 {FORGED} 127.0.0.1 1234 443\r\n".encode())
        else:
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(certificate, key)
            near = server.wrap_socket(near, server_side=True)
            client = ssl.create_default_context(cafile=ca)
            # The CA of `anyproxy certs` has no key identifiers, which newer Pythons insist on.
            client.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
            far = client.wrap_socket(far, server_hostname="localhost")
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                some = near.recv(1)
                if not some:
                    return
                head += some
            lie = f"X-Forwarded-For: {FORGED}\r\nForwarded: for={FORGED}\r\n\r\n"
            far.sendall(head[:-2] + lie.encode())
    except OSError as error:
        print("front:", error, file=sys.stderr, flush=True)
        near.close()
        return
    threading.Thread(target=copy, args=(near, far), daemon=True).start()
    copy(far, near)


listener = socket.create_server(("127.0.0.1", int(port)))
print("listening", flush=True)
while True:
    conn, _ = listener.accept()
    threading.Thread(target=serve, args=(conn,), daemon=True).start()
