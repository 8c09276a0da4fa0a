"""No tunnel at all, and nginx as a relay: what one and two hops cost without being a tunnel."""

import os

from ..pair import SERVICE, TUNNEL, VISITORS
from ..process import command, find
from . import Entry

MODULES = ("/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so")


def _stream_module():
    return next((path for path in MODULES if os.path.exists(path)), None)


def _needs():
    """nginx may have its stream module inside, as a file, or not at all."""
    if not find("nginx") or _stream_module() or "--with-stream " in command(find("nginx"), "-V", check=False) + " ":
        return ("nginx",)
    return ("nginx", "nginx's stream module")


def _nginx(pair, side, server):
    module = _stream_module()
    module = f"load_module {module};" if module else ""
    errors = os.path.join(pair.directory, f"nginx-{side}.errors")
    config = pair.write(f"nginx-{side}.conf", f"""
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 65536;
pid {pair.directory}/nginx-{side}.pid;
error_log {errors} warn;
{module}
events {{ worker_connections 24000; }}
stream {{ server {{ {server} }} }}
""")
    pair.spawn(side, "nginx", "-p", pair.directory, "-e", errors, "-c", config)


def _one_hop(pair):
    _nginx(pair, "A", f"listen 127.0.0.1:{VISITORS} backlog=8192; proxy_pass {pair.b_address}:{SERVICE};")


def _two_hops(pair):
    files = pair.certificates
    _nginx(pair, "B", f"listen {pair.b_address}:{TUNNEL} ssl backlog=8192; ssl_protocols TLSv1.3; "
                      f"ssl_certificate {files.certificate}; ssl_certificate_key {files.key}; "
                      f"ssl_session_cache shared:bench:4m; proxy_pass 127.0.0.1:{SERVICE};")
    pair.await_port("B", TUNNEL)
    _nginx(pair, "A", f"listen 127.0.0.1:{VISITORS} backlog=8192; proxy_pass {pair.b_address}:{TUNNEL}; "
                      "proxy_ssl on; proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on;")


ENTRIES = [
    Entry("direct", "no tunnel", lambda pair: None, reference=True, direct=True, datagrams=True),
    Entry("nginx-hop", "nginx: one plain relay", _one_hop, _needs(), reference=True),
    Entry("nginx-tls", "nginx: two relays, TLS 1.3 between, a connection per visitor", _two_hops, _needs(),
          kind="tls", reference=True),
]
