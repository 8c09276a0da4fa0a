"""Two clients of one group share a forwarded port; one is killed under load."""

import threading
import time

from ..check import PATIENCE, fail, same, true, until
from ..curl import curl, start_curl
from ..registry import case
from ..setups import TWO_CLIENTS
from .curl_http import fresh, ok

DOWNLOADS = 20
USERS = 12
# A new request that needs longer was not served "at once".
AT_ONCE = 5


class Load:
    """Requests from several users at once, each on a connection of its own, until stopped."""

    def __init__(self, url):
        self.url = url
        # (when it began, what came of it)
        self.answers = []
        self.done = threading.Event()
        self.users = [threading.Thread(target=self.work, daemon=True) for _ in range(USERS)]

    def work(self):
        while not self.done.is_set():
            began = time.monotonic()
            self.answers.append((began, curl("--max-time", AT_ONCE, self.url)))

    def __enter__(self):
        for user in self.users:
            user.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for user in self.users:
            user.join()

    def since(self, moment, count):
        """Waits for `count` answers to requests that began after `moment`, and gives them."""

        def begun():
            answers = [answer for began, answer in self.answers if began > moment]
            return answers if len(answers) >= count else None

        return until("requests go on", begun, 4 * PATIENCE)


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
            load.since(0, 10)
            lab.clients.pop("a").kill()
            killed = time.monotonic()
            load.since(killed, 20 * USERS)
        # All users have ended now, those who had to wait among them.
        after = load.since(killed, 20 * USERS)
        cut, whole = finish_downloads(lab, processes, key)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
    true("both clients served downloads", cut["a"] + whole["a"] and cut["b"] + whole["b"])
    same("downloads of the other client that were cut", cut["b"], 0)
    same("downloads of the killed client that came whole", whole["a"], 0)
    failed = [answer.reason for answer in after if answer.exit or answer.text != "who-b\n"]
    if failed:
        fail(f"{len(failed)} of {len(after)} requests begun after the kill failed: {failed[0]}")
