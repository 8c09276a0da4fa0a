"""The report: a line for each row when it is done, and the whole as a table in Markdown."""

from dataclasses import dataclass, field

from .registry import Row, Seen

HEAD = """\
| fault | transport | what users saw | served again after | gateway: MiB, descriptors, threads | client |
| --- | --- | --- | --- | --- | --- |
"""


@dataclass
class Line:
    """What became of one row."""

    row: Row
    seen: Seen = field(default_factory=lambda: Seen(""))
    before: dict = field(default_factory=dict)
    after: dict = field(default_factory=dict)
    seconds: float = 0
    problem: str = ""

    @property
    def recovery(self):
        return "-" if self.seen.recovery is None else f"{self.seen.recovery} ms"

    def held(self, name):
        """Before and after, in short."""
        if not self.after:
            return "-"
        one, other = self.before[name], self.after[name]
        pairs = (
            (one.memory, other.memory),
            (one.descriptors, other.descriptors),
            (one.threads, other.threads),
        )
        return ", ".join(f"{a} → {b}" for a, b in pairs)

    def text(self):
        verdict = f"FAILED: {self.problem}" if self.problem else "ok"
        first = f"{self.row.full_name:34} {self.seconds:5.1f} s  {self.recovery:>9}  {verdict}"
        if self.problem:
            return first
        return f"{first}\n      {self.seen.users}\n      gateway {self.held('gateway')}; client {self.held('client')}"

    def markdown(self):
        users = f"**FAILED**: {self.problem}" if self.problem else self.seen.users
        cells = (self.row.fault, f"`{self.row.transport}`", users.replace("|", "/"), self.recovery)
        return f"| {' | '.join((*cells, self.held('gateway'), self.held('client')))} |\n"


class Report:
    """All lines so far."""

    def __init__(self):
        self.lines = []

    def add(self, line):
        self.lines.append(line)
        print(line.text(), flush=True)

    def failed(self):
        return [line for line in self.lines if line.problem]

    def summary(self):
        print(f"\n{len(self.lines) - len(self.failed())} passed, {len(self.failed())} failed")
        for line in self.failed():
            print(f"  {line.row.full_name}: {line.problem}")

    def markdown(self):
        return HEAD + "".join(line.markdown() for line in self.lines)
