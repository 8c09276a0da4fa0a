"""Two clients of one group share a forwarded port; one is killed under load."""

import threading

from ..check import PATIENCE, fail, same, true, until
from ..curl import curl, start_curl
from ..registry import case
from ..setups import TWO_CLIENTS
from .curl_http import fresh, ok

DOWNLOADS = 20
# A new request that needs longer was not served "at once".
AT_ONCE = 5


class Load:
    """Requests one after another, each on a connection of its own, until stopped."""

    def __init__(self, url):
        self.url = url
        self.answers = []
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while not self.done.is_set():
            self.answers.append(curl("--max-time", AT_ONCE, self.url))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def more(self, count):
        """Waits for `count` further answers and gives them."""
        start = len(self.answers)
        until("requests go on", lambda: len(self.answers) >= start + count, 4 * PATIENCE)
        return self.answers[start : start + count]


def server_of(lab, key, download):
    """The target at which a download arrived."""
    name = f"{key}-{download}"
    kinds = [client for client in lab.setup.clients if lab.targets.get("who", client).requests(name)]
    return kinds[0] if kinds else None


def start_downloads(lab, url, key):
    """Slow downloads; each waits in its middle until it is released."""
    processes = [
        start_curl(f"{url}/drip?id={key}-{number}", directory=lab.dir, name=f"drip-{key}-{number}")
        for number in range(DOWNLOADS)
    ]
    for process in processes:
        true("a download's first bytes", process.stdout.read(1))
    return processes


def finish_downloads(lab, processes, key):
    """Lets all of them go on: the numbers of those that were cut, by the client that served them."""
    for client in "ab":
        for number in range(DOWNLOADS):
            lab.targets.get("who", client).events[f"{key}-{number}"].set()
    cut = {"a": 0, "b": 0}
    whole = {"a": 0, "b": 0}
    for number, process in enumerate(processes):
        length = 1 + len(process.stdout.read())
        kind = cut if process.wait(PATIENCE) or length != 131_072 else whole
        kind[server_of(lab, key, number)] += 1
    return cut, whole


@case("shared-port", setup=TWO_CLIENTS)
def shared_port(lab):
    """Both serve it."""
    url = f"http://127.0.0.1:{lab.forwards['who']}/who"
    same("who answers", {ok(curl(url)).text for _ in range(20)}, {"who-a\n", "who-b\n"})


@case("kill-one-client", setup=TWO_CLIENTS)
def kill_one(lab):
    """kill -9: its own live connections are lost, no others, and new ones succeed at once."""
    url, key = f"http://127.0.0.1:{lab.forwards['who']}", fresh()
    processes = start_downloads(lab, url, key)
    try:
        with Load(f"{url}/who") as load:
            load.more(10)
            lab.clients.pop("a").kill()
            after = load.more(30)
        cut, whole = finish_downloads(lab, processes, key)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
    true("both clients served downloads", cut["a"] + whole["a"] and cut["b"] + whole["b"])
    same("downloads of the other client that were cut", cut["b"], 0)
    same("downloads of the killed client that came whole", whole["a"], 0)
    # One request may have been under way with the killed client.
    failed = [answer.reason for answer in after if answer.exit or answer.text != "who-b\n"]
    if len(failed) > 1 or after[-1].exit:
        fail(f"{len(failed)} of {len(after)} new requests failed: {failed[1]}")
