"""Whether the run was good: each check gives what speaks against it."""

import statistics
from collections import Counter, defaultdict

# Seconds until everything works again.
RECOVERY = 40
# Memory at rest may grow so much from the first third of a life to its last.
RSS_FACTOR = 1.10
RSS_MORE = 8 << 20
# Descriptors at rest may differ so much: a tunnel that is being made or moved.
DESCRIPTORS = 6
# Quiet points that a life needs to be judged.
POINTS = 3


class Verdict:
    """Sorts the failures by the faults that they met and collects the complaints."""

    def __init__(self, stage):
        self.stage = stage
        self.complaints = []
        self.counted = defaultdict(Counter)
        self.lives = []
        self.wrong = []
        self._failures()
        self._faults()
        self._lives()
        self._rest()

    def _overlapping(self, event):
        """The last fault that a request met and that may cost something."""
        for met in reversed(self.stage.met):
            if not met.fault.harmless and event["start"] <= met.until(RECOVERY) and event["end"] >= met.start:
                return met
        return None

    def _failures(self):
        for event in self.stage.ledger.bad:
            what = event["what"]
            met = None
            if what == "failed":
                met = self._overlapping(event)
            if met is None:
                self._accuse(event)
            else:
                self.counted[met.number][event["kind"], event["why"]] += 1
        if self.stage.ledger.dropped:
            self.complaints.append(f"{self.stage.ledger.dropped} failures more than could be kept")

    def _accuse(self, event):
        """No fault excuses it."""
        if event["what"] in ("wrong", "cut"):
            self.wrong.append(event)
        at = self.stage.sampler.since(event["start"])
        self.complaints.append(
            f"{event['what']}, with no fault to blame: {event['kind']} of {event['group']} at {at:.1f} s "
            f"for {event['end'] - event['start']:.1f} s: {event['why']}"
        )

    def _faults(self):
        for met in self.stage.met:
            if met.recovered is None or met.recovered > RECOVERY:
                self.complaints.append(f"fault {met.number} ({met.fault.name}): not well again after {RECOVERY} s")

    def _lives(self):
        """Memory and descriptors at rest, in the longest life of each program."""
        first = self.stage.sampler.quiet[0][1]
        for name in self.stage.programs:
            points = [(at, found[name]) for at, found in self.stage.sampler.quiet[1:] if name in found]
            if not points:
                continue
            life = Counter(usage.life for _, usage in points).most_common(1)[0][0]
            points = [(at, usage) for at, usage in points if usage.life == life]
            third = max(1, len(points) // 3)
            middle = lambda some: statistics.median(usage.rss for _, usage in some)
            early, late = middle(points[:third]), middle(points[-third:])
            descriptors = [usage.descriptors for _, usage in points] + [first[name].descriptors]
            judged = len(points) >= POINTS
            self.lives.append((name, life, points, early, late, descriptors, judged))
            if judged and late > early * RSS_FACTOR + RSS_MORE:
                self.complaints.append(f"{name}: memory at rest grew from {early >> 10} to {late >> 10} KiB")
            if max(descriptors) - min(descriptors) > DESCRIPTORS:
                self.complaints.append(f"{name}: descriptors at rest: {descriptors}")

    def _rest(self):
        stage = self.stage
        self.complaints += stage.unsettled
        for program in stage.programs.values():
            self.complaints += program.deaths
            if program.count("panicked"):
                self.complaints.append(f"{program.name} panicked")
        ways = {kind for kind, _ in stage.ledger.ok}
        for kind in ways:
            for group in stage.programs:
                if group != "gateway" and not stage.ledger.ok[kind, group]:
                    self.complaints.append(f"{kind} of {group} never worked")
