"""How growth is shown: a row for each cost with a column for each number, and a plot of each."""

import math
from dataclasses import dataclass

from . import plot
from .summary import cells


@dataclass(frozen=True)
class Cost:
    key: str
    title: str
    digits: int = 0


def _while(kind):
    return (Cost(f"{kind}_ping_us", "ping-pong p50, µs"), Cost(f"{kind}_s", "connections a second"),
            Cost(f"{kind}_each_us", "CPU of both sides for each of those, µs"))


COSTS = {
    "connections": (Cost("connections_kib_a", "gateway's memory for each, KiB", 1),
                    Cost("connections_kib_b", "client's memory for each, KiB", 1),
                    Cost("connections_open_us_a", "gateway's CPU for opening each, µs"),
                    Cost("connections_open_us_b", "client's CPU for opening each, µs"), *_while("connections")),
    "sessions": (Cost("sessions_kib", "gateway's memory for each, KiB", 1),
                 Cost("sessions_rest_us_s", "gateway's CPU at rest for each, µs/s", 1),
                 Cost("sessions_login_cpu_ms", "gateway's CPU for the log-in of each, ms", 2),
                 Cost("sessions_all_ms", "time until all were logged in, ms for each", 1),
                 Cost("sessions_one_more_ms", "one more client's start and log-in, ms"), *_while("sessions")),
    "groups": (Cost("groups_kib", "gateway's memory for each, KiB", 1), Cost("groups_start_ms", "gateway's start, ms"),
               Cost("groups_one_more_ms", "a client's start and log-in, ms"), *_while("groups")),
}


def _series(records):
    """(kind, cost, [(entry, {size: Cell})]), of what was measured."""
    found = []
    own = [record for record in records if record["scene"] == "growth"]
    table = cells(own)
    for kind, costs in COSTS.items():
        sizes = sorted({record["size"] for record in own if record["kind"] == kind})
        for cost in costs:
            rows = [(entry, {size: columns[f"{cost.key} {size}"] for size in sizes if f"{cost.key} {size}" in columns})
                    for entry, columns in table.items()]
            found.append((kind, cost, sizes, [(entry, points) for entry, points in rows if points]))
    return [each for each in found if each[3]]


def tables(records):
    parts, last = [], None
    for kind, cost, sizes, rows in _series(records):
        if kind != last:
            parts += ["", f"## Growth with {kind}", "", f"| {kind} | entry | " + " | ".join(f"{size:,}" for size in sizes) + " |",
                      "| --- | --- |" + " --- |" * len(sizes)]
            last = kind
        parts += [f"| {cost.title} | {entry} | " + " | ".join(_written(cost, points.get(size)) for size in sizes) + " |"
                  for entry, points in rows]
    return [*parts[1:], ""] if parts else []


def _written(cost, cell):
    if cell is None:
        return "–"
    text = f"{cell.median:,.{cost.digits}f}"
    return text if cell.low == cell.high else f"{text} ({cell.low:,.{cost.digits}f}–{cell.high:,.{cost.digits}f})"


def plots(records):
    """File name -> SVG. One point is no line."""
    files = {}
    for kind, cost, sizes, rows in _series(records):
        if len(sizes) > 1:
            series = [(entry, {size: max(cell.median, 0) for size, cell in points.items()}) for entry, points in rows]
            name = "growth-" + cost.key.replace("_", "-")
            files[f"{name}.svg"] = plot.lines(f"{kind.capitalize()}: {cost.title}", f"over the number of {kind}", series,
                                              math.log10, "{:,}")
    return files
