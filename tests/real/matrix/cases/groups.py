"""Users, replicas, and groups that come and go while the gateway runs."""

import json
from concurrent.futures import ThreadPoolExecutor

from ..check import fail, same, until, within
from ..curl import curl
from ..program import run
from ..registry import case
from ..setups import REPLICAS, STORE, USERS
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


TEAM = "team"


def group(lab, *words):
    """`anyproxy group …` beside the running gateway."""
    command = [lab.bench.anyproxy, "group", *words, "--config", lab.dir / "gateway.toml"]
    code, out, err = run(command)
    same(f"group {words[0]}: {err.strip()}", code, 0)
    return out.decode()


def becomes(lab, what, password, status):
    """The running gateway comes to answer this user with this status."""
    url = f"{lab.targets.get('web').url}/hello"
    proxy = lab.url("http", "http", user=TEAM, password=password)
    until(what, lambda: curl("-x", proxy, url).status == status)


@case("groups-at-run-time", setup=STORE)
def at_run_time(lab):
    """A group comes, its user gets a password and another one, and the group goes."""
    secret = lab.dir / "team.secret"
    group(lab, "add", TEAM, "--secret-out", secret)
    listed = group(lab, "list", "--json")
    names = [one["name"] for one in json.loads(listed)]
    same("groups", sorted(names), ["demo", TEAM])
    within("where it comes from", listed, "store")
    client = lab.start_client("team", TEAM, secret)
    passwords = []
    for number in (1, 2):
        file = lab.dir / f"team.password-{number}"
        group(lab, "passwd", TEAM, "--generate", "--secret-out", file)
        passwords.append(file.read_text().strip())
        becomes(lab, f"password {number} works", passwords[-1], 200)
    becomes(lab, "the first password is refused", passwords[0], 407)
    group(lab, "remove", TEAM)
    becomes(lab, "the user is gone", passwords[1], 407)
    same("groups", [one["name"] for one in json.loads(group(lab, "list", "--json"))], ["demo"])
    lab.gateway.wait_record(
        "the group's session ends",
        lambda record: record["message"] == "session down" and record.get("group") == TEAM,
    )
    if client.process.poll() is not None:
        fail(f"the client gave up: {client.last_words()}")


@case("groups-restart", setup=STORE)
def restart(lab):
    """What the store holds is there without a gateway, and for another one."""
    group(lab, "add", "kept", "--secret-out", lab.dir / "kept.secret")
    lab.restart_gateway()
    lab.start_client("kept", "kept", lab.dir / "kept.secret")
    group(lab, "remove", "kept")
