"""Headless Chromium: a page with thirty sub-resources. It has no credentials for SOCKS5, so that way is
not among these."""

from ..check import same, true
from ..devtools import Browser
from ..registry import case
from ..setups import BASE, HTTPS, MIXED
from ..targets.pages import ASSETS
from .curl_http import fresh


def load(lab, proxy, target, trusted=()):
    """The page counts what arrived; the target what was asked for."""
    key, total = fresh(), sum(ASSETS.values())
    if target is lab.targets.get("tls"):
        trusted = (*trusted, lab.bench.dir / "target-certs" / "gateway.crt")
    with Browser(lab.dir, proxy, "demo", lab.password, trusted) as browser:
        browser.load(f"{target.url}/page?id={key}", f"got {total}")
        true("the proxy asked for credentials", browser.challenges > 0)
        same("failed loads", [text for text in browser.failures if "favicon" not in text], [])
    same("requests at the target", len(target.requests(key)), total + 1)
    for request in target.requests(key):
        names = {name.lower() for name in request["headers"]}
        same("leaked headers", {name for name in names if name.startswith("proxy-")}, set())


def gateway_certificate(lab):
    return (lab.bench.certs / "gateway.crt",)


@case("browser-http", setup=BASE)
def http(lab):
    load(lab, f"http://127.0.0.1:{lab.ports['http']}", lab.targets.get("web"))


@case("browser-connect", setup=BASE)
def connect(lab):
    load(lab, f"http://127.0.0.1:{lab.ports['http']}", lab.targets.get("tls"))


@case("browser-https-proxy", setup=HTTPS)
def https_proxy(lab):
    """Chromium speaks HTTP/2 to a proxy that offers it, for plain requests too."""
    proxy = f"https://localhost:{lab.ports['https']}"
    load(lab, proxy, lab.targets.get("web"), gateway_certificate(lab))


@case("browser-https-proxy-connect", setup=HTTPS)
def https_proxy_connect(lab):
    proxy = f"https://localhost:{lab.ports['https']}"
    load(lab, proxy, lab.targets.get("tls"), gateway_certificate(lab))


@case("browser-mixed", setup=MIXED)
def mixed(lab):
    load(lab, f"http://127.0.0.1:{lab.ports['mixed']}", lab.targets.get("web"))
