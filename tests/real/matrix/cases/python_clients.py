"""Python's clients: requests (with PySocks), urllib and http.client."""

import hashlib
import http.client
import urllib.request
from base64 import b64encode

import requests

from ..check import PATIENCE, same
from ..lab import CLIENT_ONLY
from ..registry import case
from ..setups import BASE

BLOCK = 1 << 20


def proxies(lab, ingress):
    url = lab.url("socks5h", "socks5") if ingress == "socks5h" else lab.url("http", "http")
    return {"http": url, "https": url}


def exchange(lab, ingress):
    """Several requests of one session: both ways, streamed, plain and TLS, a name of the client's."""
    web, tls = lab.targets.get("web"), lab.targets.get("tls")
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = proxies(lab, ingress)
        options = {"timeout": PATIENCE}
        same("name", session.get(f"http://{CLIENT_ONLY}:{web.port}/hello", **options).text, "hello\n")
        same("TLS", session.get(f"{tls.url}/hello", verify=str(tls.ca), **options).text, "hello\n")
        with open(lab.bench.small, "rb") as file:
            answer = session.put(f"{web.url}/sum", data=file, **options)
        same("SHA-256 at the target", answer.text, lab.bench.small_sum)
        digest = hashlib.sha256()
        with session.get(f"{web.url}/file", stream=True, **options) as answer:
            for block in answer.iter_content(BLOCK):
                digest.update(block)
        same("SHA-256", digest.hexdigest(), lab.bench.sum)
        before = web.connections
        for _ in range(10):
            same("body", session.get(f"{web.url}/hello", **options).text, "hello\n")
        same("new connections at the target", min(web.connections - before, 2) // 2, 0)


@case("requests-http", setup=BASE)
def requests_http(lab):
    exchange(lab, "http")


@case("requests-socks5h", setup=BASE)
def requests_socks5h(lab):
    exchange(lab, "socks5h")


@case("urllib", setup=BASE)
def urllib_both(lab):
    """Plain requests and, for TLS, CONNECT; credentials from the proxy's URL."""
    import ssl

    web, tls = lab.targets.get("web"), lab.targets.get("tls")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies(lab, "http")),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(tls.ca))),
    )
    for url in (f"{web.url}/hello", f"{tls.url}/hello"):
        with opener.open(url, timeout=PATIENCE) as answer:
            same(url, answer.read(), b"hello\n")


@case("http.client", setup=BASE)
def http_client(lab):
    """CONNECT, then many requests on the tunnel."""
    web = lab.targets.get("web")
    credentials = b64encode(f"demo:{lab.password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", lab.ports["http"], timeout=PATIENCE)
    connection.set_tunnel(CLIENT_ONLY, web.port, {"Proxy-Authorization": f"Basic {credentials}"})
    try:
        for _ in range(20):
            connection.request("GET", "/hello")
            same("body", connection.getresponse().read(), b"hello\n")
    finally:
        connection.close()
