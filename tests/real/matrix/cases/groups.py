"""Users, replicas, and groups that come and go while the gateway runs."""

from concurrent.futures import ThreadPoolExecutor

from ..check import same, until
from ..curl import curl
from ..registry import case
from ..setups import REPLICAS, USERS
from .curl_http import ok


@case("named-users", setup=USERS)
def named_users(lab):
    """Each has a password of his own, at every ingress."""
    url = f"{lab.targets.get('web').url}/hello"
    for scheme, ingress in (("http", "http"), ("socks5h", "socks5")):
        for name in lab.users:
            same(name, ok(curl("-x", lab.url(scheme, ingress, user=name), url)).text, "hello\n")
        mistaken = lab.url(scheme, ingress, user="alice", password=lab.users["bob"])
        answer = curl("-x", mistaken, url)
        same("alice with bob's password", (answer.status or answer.exit) in (407, 97), True)


@case("replicas", setup=REPLICAS)
def replicas(lab):
    """Several sessions of one client, all of them used."""

    def sessions():
        return [record for record in lab.gateway.records() if record["message"] == "session up"]

    until("all sessions are up", lambda: len(sessions()) == lab.setup.replicas)
    web, proxy = lab.targets.get("web"), lab.url("http", "http")
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: curl("-x", proxy, f"{web.url}/hello"), range(40))
        same("answers", {ok(answer).text for answer in answers}, {"hello\n"})
    answer = ok(curl("-x", proxy, "-T", lab.bench.small, f"{web.url}/sum"))
    same("SHA-256 at the target", answer.text, lab.bench.small_sum)
