"""curl: how a connection that cannot be made looks to the user; docs/protocol.md section 11."""

import socket

from ..check import same, true, within, without
from ..curl import curl
from ..lab import CLIENT_ONLY, DENIED, NOBODY, free_port
from ..registry import case
from ..setups import ALL, BASE, H2_CONNECT
from .curl_http import ok

# Target, HTTP status, `Proxy-Status` error (RFC 9209), SOCKS5 reply (RFC 1928).
OUTCOMES = {
    "name-unknown": (lambda: f"{NOBODY}:80", 502, "dns_error", 4),
    "refused": (lambda: f"127.0.0.1:{free_port()}", 502, "connection_refused", 5),
    "denied-address": (lambda: f"{DENIED}:80", 403, "http_request_denied", 2),
    "denied-name": (lambda: "denied.test:80", 403, "http_request_denied", 2),
    "metadata": (lambda: "169.254.169.254:80", 403, "http_request_denied", 2),
    "mapped-metadata": (lambda: "[::ffff:169.254.169.254]:80", 403, "http_request_denied", 2),
}


def outcome(lab, way, name):
    """The true reason, in the words of the ingress."""
    target, status, error, reply = OUTCOMES[name]
    answer = curl(*way.curl(lab), f"http://{target()}/")
    if way.tunnel == "socks5":
        same(answer.reason, answer.exit, 97)
        within("curl", answer.said, f"({reply})")
        return
    if way is H2_CONNECT:
        # curl does not tell which; `h2-outcomes` does.
        same(answer.reason, answer.exit, 56)
        without("curl", answer.said, "reset")
        return
    if way.tunnel == "http":
        same(answer.reason, (answer.exit, answer.connect_status), (56, status))
    else:
        ok(answer, status)
        same("lines of body", answer.text.count("\n"), 1)
    within("Proxy-Status", answer.head.lower(), "proxy-status: ")
    within("Proxy-Status", answer.head, f"error={error}")


for each in OUTCOMES:
    case(each, ways=ALL)(lambda lab, way, name=each: outcome(lab, way, name))


@case("name-at-client", ways=ALL)
def name_at_client(lab, way):
    """Only the client's hosts file has the name."""
    try:
        socket.getaddrinfo(CLIENT_ONLY, 80)
        true(f"{CLIENT_ONLY} is unknown here", False)
    except socket.gaierror:
        pass
    answer = ok(curl(*way.curl(lab), f"http://{CLIENT_ONLY}:{lab.targets.get('web').port}/hello"))
    same("body", answer.text, "hello\n")


@case("wrong-password", ways=ALL)
def wrong_password(lab, way):
    rejected(curl(*as_user(lab, way, "demo:wrong@"), target(lab)), way)


@case("unknown-user", ways=ALL)
def unknown_user(lab, way):
    rejected(curl(*as_user(lab, way, f"eve:{lab.password}@"), target(lab)), way)


@case("no-password", ways=ALL)
def no_password(lab, way):
    answer = curl(*as_user(lab, way, ""), target(lab))
    if way.tunnel == "socks5":
        same(answer.reason, answer.exit, 97)
        within("curl", answer.said.lower(), "no authentication method was acceptable")
    else:
        rejected(answer, way)


def target(lab):
    return f"{lab.targets.get('web').url}/hello"


def as_user(lab, way, credentials):
    """The way with other credentials in the proxy's URL."""
    return [str(word).replace(f"demo:{lab.password}@", credentials) for word in way.curl(lab)]


def rejected(answer, way):
    """407 with a realm, or SOCKS5's own refusal (RFC 1929)."""
    if way.tunnel == "socks5":
        same(answer.reason, answer.exit, 97)
        within("curl", answer.said, "rejected by the SOCKS5 server")
        return
    if way is H2_CONNECT:
        same(answer.reason, answer.exit, 56)
        without("curl", answer.said, "reset")
        return
    if way.tunnel == "http":
        same(answer.reason, (answer.exit, answer.connect_status), (56, 407))
    else:
        ok(answer, 407)
    within("challenge", answer.head.lower(), 'proxy-authenticate: basic realm="')


@case("after-407", setup=BASE)
def after_407(lab):
    """--proxy-anyauth: curl asks without credentials first, then on the same connection with them."""
    answer = ok(curl("--proxy-anyauth", "-x", lab.url("http", "http"), target(lab)))
    same("body", answer.text, "hello\n")
    within("heads", answer.head, "407")
    same("connections of curl", answer.transfers[-1]["num_connects"], 1)
