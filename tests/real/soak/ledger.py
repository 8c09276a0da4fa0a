"""What became of the requests, by the second and by the fault that they met."""

import threading
import time
from collections import Counter, defaultdict

# Failures are kept one by one up to so many; more are only counted.
KEPT = 200_000


class Mark:
    """Watches from when on each kind of traffic works: by probes that began after it was set."""

    def __init__(self, kinds):
        self.at = time.monotonic()
        self.missing = set(kinds)
        self.done = None

    def seen(self, event):
        if event["probe"] and event["what"] == "ok" and event["start"] >= self.at:
            self.missing.discard((event["kind"], event["group"]))
            if not self.missing and self.done is None:
                self.done = event["end"]

    def took(self):
        """Seconds until all of them worked, or nothing."""
        return None if self.done is None else self.done - self.at


class Ledger:
    """Filled by the threads that read what users and targets print."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ok = Counter()
        self.bad = []
        self.dropped = 0
        self.moved = 0
        # By whole seconds of the monotonic clock: requests that worked, others, bytes.
        self.seconds = defaultdict(lambda: [0, 0, 0])
        self.kinds = set()
        self.marks = []
        self.live = {}
        self.ready = set()

    def users(self, event):
        """An event of the users."""
        with self.lock:
            if "live" in event:
                self.live["users"] = event["live"]
                return
            row = self.seconds[int(event["end"])]
            if event["what"] == "ok":
                row[0] += 1
                row[2] += event["bytes"]
                self.moved += event["bytes"]
                self.ok[event["kind"], event["group"]] += 1
            else:
                row[1] += 1
                self._keep(event)
            if event["probe"]:
                self.kinds.add((event["kind"], event["group"]))
            for mark in self.marks:
                mark.seen(event)

    def targets(self, group):
        """Takes the events of a client's targets."""

        def take(event):
            with self.lock:
                if "ready" in event:
                    self.ready.add(group)
                elif "live" in event:
                    self.live[f"targets of {group}"] = event["live"]
                else:
                    fixed = {"kind": "upload", "group": group, "what": "cut", "why": event["cut"], "probe": False}
                    self._keep({**fixed, "start": event["start"], "end": event["end"]})

        return take

    def _keep(self, event):
        if len(self.bad) < KEPT:
            self.bad.append(event)
        else:
            self.dropped += 1

    def mark(self):
        """Watches recovery from now on."""
        with self.lock:
            mark = Mark(self.kinds)
            self.marks = [one for one in self.marks if one.done is None][-4:] + [mark]
            return mark

    def at_rest(self):
        """Whether nothing is under way."""
        with self.lock:
            return all(count == 0 for count in self.live.values())

    def second(self, second):
        """Requests, failures and bytes of a second."""
        with self.lock:
            return tuple(self.seconds.get(second, (0, 0, 0)))
