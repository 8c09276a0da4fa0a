"""AnyProxy over each transport, with its default settings but for limits that 10,000 connections meet."""

from .. import programs
from ..pair import DATAGRAMS, SECRET, SERVICE, SERVICE_DATAGRAMS, TUNNEL, VISITORS
from . import Entry

GROUP = "bench"


def _gateway(pair, secret):
    files = pair.certificates
    return pair.write("gateway.toml", f"""
listen = "{pair.a_address}:{TUNNEL}"
certificate = "{files.certificate}"
key = "{files.key}"
http = "off"
socks5 = "off"
drain = "0s"

[log]
level = "warn"

[limits]
max_streams = 16384
max_users = 12000
max_users_per_address = 12000

[[group]]
name = "{GROUP}"
secret_file = "{secret}"
forwards = ["{VISITORS}", "{DATAGRAMS}"]
""")


def _client(pair, secret, transport, replicas):
    return pair.write("client.toml", f"""
gateway = "{pair.a_address}:{TUNNEL}"
ca = "{pair.certificates.ca}"
group = "{GROUP}"
secret_file = "{secret}"
transport = "{transport}"
replicas = {replicas}
drain = "0s"

[log]
level = "warn"

[[forward]]
name = "visitors"
listen = "127.0.0.1:{VISITORS}"
target = "127.0.0.1:{SERVICE}"

[[forward]]
name = "datagrams"
protocol = "udp"
listen = "127.0.0.1:{DATAGRAMS}"
target = "127.0.0.1:{SERVICE_DATAGRAMS}"
""")


def _over(transport, replicas):
    def start(pair):
        program = programs.anyproxy()
        secret = pair.write("secret", SECRET + "\n")
        pair.spawn("A", program, "gateway", "--config", _gateway(pair, secret))
        pair.await_port("A", TUNNEL)
        pair.spawn("B", program, "client", "--config", _client(pair, secret, transport, replicas))
    return start


def _entry(transport, kind, about, replicas=1):
    name = f"ours-{transport}" if replicas == 1 else f"ours-{transport}-{replicas}"
    return Entry(name, about, _over(transport, replicas), (programs.anyproxy(),), kind, multiplexed=True,
                 datagrams=True, ours=True)


ENTRIES = [
    _entry("quic", "quic", "AnyProxy over QUIC, all visitors in one connection"),
    _entry("ws", "tls", "AnyProxy over WebSocket in TLS, all visitors in one connection"),
    _entry("ws", "tls", "AnyProxy over WebSocket in TLS with `replicas = 4`, visitors spread over four connections", 4),
]
