"""The gateways and clients of the cases, and the ways through them."""

from .registry import Forward, Setup, Way

BASE = Setup(
    "base",
    forwards=(
        Forward("web", "web"),
        Forward("sum", "sum"),
        Forward("ssh", "ssh"),
        Forward("iperf", "iperf"),
    ),
)
HTTPS = Setup("https", proxies=("http", "https"))
MIXED = Setup("mixed", proxies=("mixed",))
USERS = Setup("users", users=("alice", "bob"))
DNS = Setup(
    "dns",
    forwards=(Forward("dns-udp", "dns", protocol="udp"), Forward("dns-tcp", "dns")),
    one_port="dns",
)
PROXY_PROTOCOL = Setup(
    "proxy-protocol",
    forwards=(
        Forward("v1", "haproxy", proxy_protocol="v1"),
        Forward("v2", "haproxy", proxy_protocol="v2"),
        Forward("nginx-v1", "nginx", proxy_protocol="v1"),
        Forward("nginx-v2", "nginx", proxy_protocol="v2"),
    ),
)
TWO_CLIENTS = Setup(
    "two-clients", clients=("a", "b"), forwards=(Forward("who", "who"),), one_port="who"
)
REPLICAS = Setup("replicas", replicas=3)
STORE = Setup("store", proxies=("http",), gateway=('data_dir = "data"',))


def http(lab):
    return ["-x", lab.url("http", "http")]


def connect(lab):
    return ["-p", *http(lab)]


def socks5h(lab):
    return ["-x", lab.url("socks5h", "socks5")]


def https(lab):
    return ["-x", lab.url("https", "https", host="localhost"), "--proxy-cacert", lab.ca]


def mixed_http(lab):
    return ["-x", lab.url("http", "mixed")]


PLAIN_HTTP = Way("http", BASE, http)
CONNECT = Way("connect", BASE, connect, tunnel="http")
SOCKS5H = Way("socks5h", BASE, socks5h, tunnel="socks5")
TLS_HTTP = Way("https", HTTPS, https)
TLS_CONNECT = Way("https-connect", HTTPS, lambda lab: ["-p", *https(lab)], tunnel="http")
H2_CONNECT = Way(
    "h2-connect", HTTPS, lambda lab: ["-p", "--proxy-http2", *https(lab)], tunnel="http"
)
MIXED_HTTP = Way("mixed-http", MIXED, mixed_http)
MIXED_CONNECT = Way("mixed-connect", MIXED, lambda lab: ["-p", *mixed_http(lab)], tunnel="http")
MIXED_SOCKS5H = Way(
    "mixed-socks5h", MIXED, lambda lab: ["-x", lab.url("socks5h", "mixed")], tunnel="socks5"
)

# Ways on which the proxy reads the requests.
REQUESTS = (PLAIN_HTTP, TLS_HTTP, MIXED_HTTP)
TUNNELS = (CONNECT, SOCKS5H, TLS_CONNECT, H2_CONNECT, MIXED_CONNECT, MIXED_SOCKS5H)
ALL = REQUESTS + TUNNELS
# One of each kind, for cases about what happens behind the ingress.
BASIC = (PLAIN_HTTP, CONNECT, SOCKS5H)
