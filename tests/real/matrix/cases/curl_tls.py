"""curl: the proxy port behind TLS, by HTTP/1.1 and by HTTP/2, and the mixed port."""

from ..check import same, true, within
from ..curl import curl
from ..registry import case
from ..setups import H2_CONNECT, HTTPS, MIXED, TLS_CONNECT, https
from .curl_http import ok


@case("proxy-alpn", ways=(TLS_CONNECT, H2_CONNECT))
def proxy_alpn(lab, way):
    """The version that curl wants is the one that is spoken."""
    answer = ok(curl("-v", *way.curl(lab), f"{lab.targets.get('web').url}/hello"))
    wanted = "HTTP/2" if way is H2_CONNECT else "HTTP/1.1"
    within("curl", answer.said, f"CONNECT tunnel: {wanted} negotiated")
    same("used a proxy", answer.transfers[-1].get("proxy_used", 1), 1)


@case("proxy-h2-https-target", setup=HTTPS)
def h2_https_target(lab):
    """Without -p: an https target makes curl use CONNECT by itself."""
    tls = lab.targets.get("tls")
    answer = ok(curl("-v", "--proxy-http2", *https(lab), "--cacert", tls.ca, f"{tls.url}/hello"))
    within("curl", answer.said, "ALPN: server accepted h2")
    same("body", answer.text, "hello\n")


@case("proxy-without-ca", setup=HTTPS)
def without_ca(lab):
    """The certificate is the gateway's own; a user who does not know its CA gets nowhere."""
    answer = curl("-x", lab.url("https", "https", host="localhost"), "http://localhost/")
    same(answer.reason, answer.exit, 60)


@case("plain-to-tls-port", setup=HTTPS)
def plain_to_tls(lab):
    """Plain HTTP on the TLS port is refused or just ends, and the port goes on."""
    answer = curl("-x", lab.url("http", "https"), f"{lab.targets.get('web').url}/hello")
    true(f"status {answer.status}", answer.status in (0, 400))
    ok(curl(*https(lab), f"{lab.targets.get('web').url}/hello"))


@case("mixed-socks4a", setup=MIXED)
def socks4a(lab):
    """SOCKS4 has no passwords: a clear end, not a hang."""
    answer = curl("-x", lab.url("socks4a", "mixed"), f"{lab.targets.get('web').url}/hello")
    same("no transfer", answer.status, 0)


@case("mixed-both-at-once", setup=MIXED)
def both(lab):
    """HTTP and SOCKS5 on one port, in turn."""
    url = f"{lab.targets.get('web').url}/hello"
    for scheme in ("http", "socks5h", "http", "socks5h"):
        same(scheme, ok(curl("-x", lab.url(scheme, "mixed"), url)).text, "hello\n")
