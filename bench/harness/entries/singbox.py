"""sing-box: a forward proxy with a fixed destination, so its listening half is on the service's side."""

from ..pair import DATAGRAMS, SECRET, SERVICE, SERVICE_DATAGRAMS, TUNNEL, VISITORS
from . import Entry

USER = "0f0e0d0c-0b0a-4908-8706-050403020100"
LOG = {"level": "error"}


def _tls(pair, alpn, **own):
    tls = {"enabled": True, "server_name": "localhost", **own}
    return {**tls, "alpn": [alpn]} if alpn else tls


def _hop(network, visitors, service):
    """What visitors meet: whatever comes in goes to one destination."""
    return {"type": "direct", "tag": network, "network": network, "listen": "127.0.0.1", "listen_port": visitors,
            "override_address": "127.0.0.1", "override_port": service}


def _start(protocol, server, client, alpn=None):
    """`server` and `client`: what the two halves of the protocol are told besides addresses and TLS."""
    def start(pair):
        files = pair.certificates
        listening = {"type": protocol, "tag": "tunnel", "listen": pair.b_address, "listen_port": TUNNEL, **server,
                     "tls": _tls(pair, alpn, certificate_path=files.certificate, key_path=files.key)}
        dialling = {"type": protocol, "tag": "tunnel", "server": pair.b_address, "server_port": TUNNEL, **client,
                    "tls": _tls(pair, alpn, certificate_path=files.ca)}
        hops = [_hop("tcp", VISITORS, SERVICE), _hop("udp", DATAGRAMS, SERVICE_DATAGRAMS)]
        far = pair.write("far.json", {"log": LOG, "inbounds": [listening], "outbounds": [{"type": "direct"}]})
        near = pair.write("near.json", {"log": LOG, "inbounds": hops, "outbounds": [dialling]})
        pair.spawn("B", "sing-box", "run", "-c", far)
        pair.await_port("B", TUNNEL)
        pair.spawn("A", "sing-box", "run", "-c", near)
    return start


_hysteria2 = _start("hysteria2", {"users": [{"password": SECRET}]}, {"password": SECRET}, alpn="h3")
_tuic = _start("tuic", {"users": [{"uuid": USER, "password": SECRET}], "congestion_control": "bbr"},
               {"uuid": USER, "password": SECRET, "congestion_control": "bbr"}, alpn="h3")
_socket = {"transport": {"type": "ws", "path": "/bench"}}
_vless = _start("vless", {"users": [{"uuid": USER}], **_socket}, {"uuid": USER, **_socket})
_vless_mux = _start(
    "vless", {"users": [{"uuid": USER}], "multiplex": {"enabled": True}, **_socket},
    {"uuid": USER, "multiplex": {"enabled": True, "protocol": "yamux", "max_connections": 1, "min_streams": 4},
     **_socket})


def _entry(name, about, start, kind, multiplexed):
    return Entry(name, f"sing-box {about}", start, ("sing-box",), kind, multiplexed, datagrams=True)


ENTRIES = [
    _entry("hysteria2", "hysteria2: QUIC, BBR, all visitors in one connection", _hysteria2, "quic", True),
    _entry("tuic", "tuic: QUIC, BBR, all visitors in one connection", _tuic, "quic", True),
    _entry("vless", "vless: WebSocket in TLS, a connection per visitor", _vless, "tls", False),
    _entry("vless-mux", "vless: WebSocket in TLS, yamux, all visitors in one connection", _vless_mux, "tls", True),
]
