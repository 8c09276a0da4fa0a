"""wstunnel: a reverse tunnel with a connection per visitor, over WebSocket or WebTransport."""

from ..pair import DATAGRAMS, SERVICE, SERVICE_DATAGRAMS, TUNNEL, VISITORS
from . import Entry


def _over(scheme, *options):
    def start(pair):
        files = pair.certificates
        pair.spawn("A", "wstunnel", "server", "--log-lvl", "WARN", "--tls-certificate", files.certificate,
                   "--tls-private-key", files.key, *options, f"wss://{pair.a_address}:{TUNNEL}")
        pair.await_port("A", TUNNEL)
        pair.spawn("B", "wstunnel", "client", "--log-lvl", "WARN",
                   "-R", f"tcp://127.0.0.1:{VISITORS}:127.0.0.1:{SERVICE}",
                   "-R", f"udp://127.0.0.1:{DATAGRAMS}:127.0.0.1:{SERVICE_DATAGRAMS}",
                   f"{scheme}://{pair.a_address}:{TUNNEL}")
    return start


ENTRIES = [
    Entry("wstunnel-ws", "wstunnel: WebSocket in TLS, a connection per visitor", _over("wss"), ("wstunnel",), "tls",
          datagrams=True),
    Entry("wstunnel-quic", "wstunnel: WebTransport", _over("wts", "--enable-webtransport"), ("wstunnel",), "quic",
          datagrams=True),
]
