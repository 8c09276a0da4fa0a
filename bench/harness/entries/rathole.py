"""rathole: a reverse tunnel with a connection per visitor, from a pool."""

from ..pair import DATAGRAMS, SECRET, SERVICE, SERVICE_DATAGRAMS, TUNNEL, VISITORS
from . import Entry

QUIET = {"RUST_LOG": "warn"}


def _start(pair):
    files = pair.certificates
    server = pair.write("server.toml", f"""
[server]
bind_addr = "{pair.a_address}:{TUNNEL}"
default_token = "{SECRET}"
transport = {{ type = "tls", tls = {{ pkcs12 = "{files.pfx}", pkcs12_password = "bench" }} }}

[server.services.visitors]
bind_addr = "127.0.0.1:{VISITORS}"

[server.services.datagrams]
type = "udp"
bind_addr = "127.0.0.1:{DATAGRAMS}"
""")
    client = pair.write("client.toml", f"""
[client]
remote_addr = "{pair.a_address}:{TUNNEL}"
default_token = "{SECRET}"
transport = {{ type = "tls", tls = {{ trusted_root = "{files.ca}", hostname = "localhost" }} }}

[client.services.visitors]
local_addr = "127.0.0.1:{SERVICE}"

[client.services.datagrams]
type = "udp"
local_addr = "127.0.0.1:{SERVICE_DATAGRAMS}"
""")
    pair.spawn("A", "rathole", "--server", server, env=QUIET)
    pair.await_port("A", TUNNEL)
    pair.spawn("B", "rathole", "--client", client, env=QUIET)


ENTRIES = [Entry("rathole", "rathole: TLS, a connection per visitor", _start, ("rathole",), "tls", datagrams=True)]
