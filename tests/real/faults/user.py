"""Users: curl, through the gateway's proxy or its forwarded port; what each saw, and when."""

import hashlib
import json
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass

from .check import fail, same

# A user who has waited for so long gives up, in seconds.
LONGEST = 15
# A new user comes each so many seconds, whatever became of those before.
EVERY = 0.2


@dataclass
class Visit:
    """One run of curl."""

    began: float
    ended: float
    exit: int
    status: int
    digest: str
    size: int

    @property
    def good(self):
        return self.exit == 0 and self.status == 200

    @property
    def ms(self):
        return round((self.ended - self.began) * 1000)

    def __str__(self):
        if self.exit == 0:
            return str(self.status)
        return f"exit {self.exit}" + (f" ({self.status})" if self.status not in (0, 200) else "")


class Curl:
    """A curl that runs; `visit` waits for its end."""

    def __init__(self, inside, words, patience=LONGEST):
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*inside, "curl", "-sS", "--max-time", str(patience), "-w", "%{stderr}\n@@%{json}", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "no_proxy": ""},
            start_new_session=True,
        )
        self.result = None
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        out, err = self.process.communicate()
        told = json.loads(err.decode(errors="replace").rpartition("@@")[2])
        self.result = Visit(
            began=self.began,
            ended=time.monotonic(),
            exit=self.process.returncode,
            status=told["http_code"] or told["http_connect"],
            digest=hashlib.sha256(out).hexdigest(),
            size=len(out),
        )

    def visit(self):
        self.thread.join()
        return self.result or fail("curl told nothing")

    def running(self):
        return self.thread.is_alive()

    def stop(self):
        if self.running():
            self.process.kill()
        self.thread.join()


class Visitors:
    """Somebody comes every 200 ms, until `leave`."""

    def __init__(self, start):
        self.start = start
        self.curls = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.come, daemon=True)
        self.thread.start()

    def come(self):
        while not self.over.is_set():
            self.curls.append(self.start())
            self.over.wait(EVERY)

    def first_good(self, since, patience):
        """The first who was served of those that came after this moment."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            served = [
                curl.result
                for curl in list(self.curls)
                if curl.result and curl.result.good and curl.began >= since
            ]
            if served:
                return min(served, key=lambda visit: visit.ended)
            time.sleep(0.01)
        seen = Counter(str(curl.result) for curl in self.curls if curl.result and curl.began >= since)
        return fail(f"nobody was served within {patience} s: {tally(seen)}")

    def recovered(self, since, patience):
        """Milliseconds from this moment until somebody was served who came after it."""
        return round((self.first_good(since, patience).ended - since) * 1000)

    def leave(self):
        """Nobody comes any more; what all saw."""
        self.over.set()
        self.thread.join()
        return [curl.visit() for curl in self.curls]

    def stop(self):
        self.over.set()
        self.thread.join()
        for curl in self.curls:
            curl.stop()


def tally(counts):
    return ", ".join(f"{number} x {what}" for what, number in sorted(counts.items()))


def seen(visits):
    """For the report: how many saw what."""
    return tally(Counter(str(visit) for visit in visits))


def all_good(what, visits):
    bad = Counter(str(visit) for visit in visits if not visit.good)
    same(what, tally(bad) or "all served", "all served")


def whole(what, visit, digest):
    """A download must be what was sent."""
    same(f"{what} ({visit}, {visit.size} bytes)", visit.good and visit.digest, digest)
