"""AnyProxy over each transport, with its default settings but for limits that 10,000 connections meet."""

import os

from .. import programs
from ..pair import DATAGRAMS, SECRET, SERVICE, SERVICE_DATAGRAMS, TUNNEL, VISITORS
from . import Entry

GROUP = "bench"


def gateway(pair, more_groups=0, status=None):
    """Starts a gateway, which listens soon. `status`: the path of its socket for questions."""
    argv = [programs.anyproxy(), "gateway", "--config", _gateway(pair, more_groups)]
    return pair.spawn("A", *argv, *(("--status-socket", status) if status else ()))


def client(pair, transport, name="client", replicas=1, more=""):
    """Starts a client with so many sessions and `more` lines of settings. All clients ask for the same ports and share what arrives there."""
    path = _client(pair, transport, name, replicas, more)
    return pair.spawn("B", programs.anyproxy(), "client", "--config", path)


def _secret(pair, group=GROUP):
    # Written once: a client that is just starting would read half of it.
    path = pair.path(f"{group}.secret")
    return path if os.path.exists(path) else pair.write(f"{group}.secret", f"{SECRET}-{group}\n")


def _gateway(pair, more_groups):
    files = pair.certificates
    more = "".join(f"""
[[group]]
name = "{name}"
secret_file = "{_secret(pair, name)}"
""" for name in (f"more-{number}" for number in range(more_groups)))
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

{more}
[[group]]
name = "{GROUP}"
secret_file = "{_secret(pair)}"
forwards = ["{VISITORS}", "{DATAGRAMS}"]
""")


def _client(pair, transport, name, replicas, more):
    return pair.write(f"{name}.toml", f"""
gateway = "{pair.a_address}:{TUNNEL}"
ca = "{pair.certificates.ca}"
group = "{GROUP}"
client_id = "{name}"
replicas = {replicas}
secret_file = "{_secret(pair)}"
transport = "{transport}"
drain = "0s"
{more}

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


def _over(transport, more):
    def start(pair):
        gateway(pair)
        pair.await_port("A", TUNNEL)
        client(pair, transport, more=more)
    return start


def _entry(name, transport, kind, about, more=""):
    return Entry(name, about, _over(transport, more), (programs.anyproxy(),), kind, multiplexed=True,
                 datagrams=True, ours=True)


ENTRIES = [
    _entry("ours-quic", "quic", "quic", "AnyProxy over QUIC, all visitors in one connection"),
    _entry("ours-ws", "ws", "tls", "AnyProxy over WebSocket in TLS, all visitors in four connections once it is used"),
    _entry("ours-ws-1", "ws", "tls", "AnyProxy over WebSocket in TLS with `ws_connections = 1`, all visitors in one connection",
           "ws_connections = 1"),
]
