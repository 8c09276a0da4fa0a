"""curl: what HTTP has besides bodies. Over tunnels these show that nothing is touched, over the proxied
requests that the proxy is a good hop (RFC 9110, RFC 9112)."""

import json
import secrets
import select

from ..check import PATIENCE, fail, same, true, within, without
from ..curl import curl, start_curl
from ..registry import case
from ..setups import ALL, BASE, BASIC, REQUESTS, TUNNELS


def fresh():
    """A key that no other case uses."""
    return secrets.token_hex(8)


def ok(answer, status=200):
    """The transfer worked."""
    same(answer.reason, (answer.exit, answer.status), (0, status))
    return answer


@case("get", ways=ALL)
def get(lab, way):
    answer = ok(curl(*way.curl(lab), f"{lab.targets.get('web').url}/hello"))
    same("body", answer.text, "hello\n")


@case("keep-alive", ways=ALL)
def keep_alive(lab, way):
    """Three requests, one connection to the proxy, and behind it at most one new one to the target."""
    target, proxy = lab.targets.get("web"), way.curl(lab)
    before = target.connections
    url = f"{target.url}/hello"
    answer = ok(curl(*proxy, url, "--next", *proxy, url, "--next", *proxy, url))
    same("bodies", answer.text, 3 * "hello\n")
    same("connections of curl", [one["num_connects"] for one in answer.transfers], [1, 0, 0])
    true("connections at the target", target.connections - before <= 1)


@case("head", ways=BASIC)
def head(lab, way):
    """The length is the target's, and no body follows."""
    target, proxy = lab.targets.get("web"), way.curl(lab)
    answer = ok(curl(*proxy, "-I", f"{target.url}/file", "--next", *proxy, f"{target.url}/hello"))
    within("head", answer.head.lower() + answer.text.lower(), f"content-length: {target.size}")
    true("the second answer is whole", answer.text.endswith("hello\n"))
    same("connections of curl", [one["num_connects"] for one in answer.transfers], [1, 0])


@case("not-modified", ways=BASIC)
def not_modified(lab, way):
    target, proxy = lab.targets.get("web"), way.curl(lab)
    tagged = ["-H", 'If-None-Match: "one"', f"{target.url}/etag"]
    answer = curl(*proxy, *tagged, "--next", *proxy, f"{target.url}/etag")
    same(answer.reason, [one["http_code"] for one in answer.transfers], [304, 200])
    same("body", answer.text, "tagged\n")
    same("connections of curl", [one["num_connects"] for one in answer.transfers], [1, 0])


@case("early-hints", ways=BASIC)
def early_hints(lab, way):
    """103 comes before the answer (RFC 8297)."""
    answer = ok(curl(*way.curl(lab), f"{lab.targets.get('web').url}/early"))
    within("heads", answer.head, "HTTP/1.1 103")
    within("heads", answer.head.lower(), "link: </style.css>; rel=preload; as=style")
    true("103 comes first", answer.head.index(" 103") < answer.head.lower().rindex("content-length"))
    same("body", answer.text, "late\n")


@case("trailers", ways=BASIC)
def trailers(lab, way):
    wish = ["-H", "TE: trailers", "-H", "Connection: TE"]
    answer = ok(curl(*way.curl(lab), *wish, f"{lab.targets.get('web').url}/trailers"))
    same("body", answer.text, "hello")
    within("trailer", answer.head.lower(), "x-sum: 5d41402a")


@case("event-stream", ways=ALL)
def event_stream(lab, way):
    """An event arrives before the next one is made: the target waits for the user, who has seen it."""
    target, key = lab.targets.get("web"), fresh()
    process = start_curl(*way.curl(lab), f"{target.url}/events?id={key}", directory=lab.dir, name=f"sse-{key}")
    with process:
        try:
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE / 2)
            if not ready:
                fail("the first event is held back until the second")
            same("first event", process.stdout.readline(), b"data: first\n")
            ok(curl(*way.curl(lab), f"{target.url}/release?id={key}"))
            same("the rest", process.stdout.read(), b"\ndata: second\n\n")
            same("exit", process.wait(PATIENCE), 0)
        finally:
            process.kill()


@case("hop-by-hop", ways=REQUESTS)
def hop_by_hop(lab, way):
    """What is between the user and the proxy stays there (RFC 9110 section 7.6.1)."""
    secret = ["-H", "Connection: x-mine", "-H", "X-Mine: 1", "-H", "X-Kept: 1"]
    target = lab.targets.get("web")
    seen = json.loads(ok(curl(*way.curl(lab), *secret, f"{target.url}/headers")).text)
    names = {name.lower() for name in seen}
    for name in ("proxy-authorization", "proxy-connection", "x-mine"):
        without("the target's request", names, name)
    within("the target's request", names, "x-kept")
    same("request line", seen["line"], "GET /headers HTTP/1.1")
    same("host", seen["Host" if "Host" in seen else "host"], target.url.removeprefix("http://"))
    without("credentials", json.dumps(seen), lab.password)


@case("https-target", ways=TUNNELS)
def https_target(lab, way):
    """TLS from curl to the target, through the tunnel."""
    target = lab.targets.get("tls")
    answer = ok(curl(*way.curl(lab), "--cacert", target.ca, f"{target.url}/hello"))
    same("body", answer.text, "hello\n")


@case("ipv6-literal", ways=ALL)
def ipv6_literal(lab, way):
    answer = ok(curl(*way.curl(lab), f"{lab.targets.get('web6').url}/hello"))
    same("body", answer.text, "hello\n")


@case("socks5-address", setup=BASE)
def socks5_address(lab):
    """curl resolves the name itself and asks for the address."""
    target = lab.targets.get("web")
    answer = ok(curl("-x", lab.url("socks5", "socks5"), f"http://localhost:{target.port}/hello", "-4"))
    same("body", answer.text, "hello\n")


@case("http-1.0", ways=REQUESTS)
def http_1_0(lab, way):
    """An old user: the answer ends with the connection, and is whole."""
    answer = ok(curl(*way.curl(lab), "--http1.0", f"{lab.targets.get('web').url}/trailers"))
    same("body", answer.text, "hello")


@case("ingress-port-plain-get", setup=BASE)
def plain_get(lab):
    """Somebody takes the proxy for a web server: a clear refusal, not a hang."""
    answer = curl(f"http://127.0.0.1:{lab.ports['http']}/")
    true(f"status {answer.status}", 400 <= answer.status < 500)
