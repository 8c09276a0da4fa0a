"""Medians over runs, their spread, and how ours compare with the best peer of each column."""

from dataclasses import dataclass
from statistics import median

from .columns import flat


@dataclass(frozen=True)
class Cell:
    median: float
    low: float
    high: float
    runs: int


def cells(records):
    """entry -> column key -> Cell."""
    values = {}
    for record in records:
        for key, value in flat(record).items():
            values.setdefault(record["entry"], {}).setdefault(key, []).append(value)
    return {entry: {key: Cell(median(each), min(each), max(each), len(each)) for key, each in columns.items()}
            for entry, columns in values.items()}


@dataclass(frozen=True)
class Best:
    entry: str
    value: float
    # Ours through theirs; none where theirs is nought.
    ratio: float | None


def best(table, column, ours, peers):
    """The best of `peers` in a column beside `ours`; None without any of them, or without ours."""
    mine = table.get(ours, {}).get(column.key)
    theirs = [(table[peer][column.key].median, peer) for peer in peers if column.key in table.get(peer, {})]
    if mine is None or not theirs:
        return None
    value, peer = (max if column.better == "more" else min)(theirs)
    return Best(peer, value, mine.median / value if value > 0 else None)
