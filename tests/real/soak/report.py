"""The report as text."""

import statistics
from collections import Counter

from .judge import RECOVERY

MIB = 1 << 20
# Complaints that are printed one by one.
SHOWN = 40


def seconds(value):
    return "–" if value is None else f"{value:.1f} s"


def text(stage, verdict, settings):
    """The whole report."""
    ledger = stage.ledger
    failed = sum(sum(counted.values()) for counted in verdict.counted.values())
    length = stage.sampler.samples[-1].at if stage.sampler.samples else 0
    lines = [
        f"soak: {length:.0f} s, seed {settings.seed}, {len(stage.met)} faults",
        "",
        f"requests that worked     {sum(ledger.ok.values()):>10}",
        f"bytes checked            {ledger.moved / MIB:>10.0f} MiB",
        f"failed at a fault        {failed:>10}",
        f"wrong                    {len(verdict.wrong):>10}",
        *recovery(stage),
        *moves(stage),
        "",
        *requests(ledger),
        "",
        *faults(stage, verdict),
        "",
        *lives(verdict),
        "",
    ]
    complaints = Counter(verdict.complaints)
    lines += [f"AGAINST: {one}" + (f" ({n} times)" if n > 1 else "") for one, n in list(complaints.items())[:SHOWN]]
    if len(complaints) > SHOWN:
        lines.append(f"AGAINST: … and {len(complaints) - SHOWN} more")
    lines.append("FAILED" if complaints else "passed")
    return "\n".join(lines) + "\n"


def recovery(stage):
    times = [met.recovered for met in stage.met if met.recovered is not None]
    if times:
        worst = f"{statistics.median(times):>10.1f} s median, {max(times):.1f} s at most (bound {RECOVERY} s)"
        yield f"well again after a fault {worst}"


def moves(stage):
    auto = stage.programs["auto"]
    moved, back = auto.count("moved to another tunnel"), auto.count("back to the earlier tunnel")
    yield f"moves between transports {moved + back:>10}"


def requests(ledger):
    yield f"{'worked':<16}{'auto':>10}{'ws':>10}"
    for kind in sorted({kind for kind, _ in ledger.ok}):
        yield f"{kind:<16}{ledger.ok[kind, 'auto']:>10}{ledger.ok[kind, 'ws']:>10}"


def faults(stage, verdict):
    """Each fault, how long it took, and what failed with it."""
    yield "well again: from the end of the fault. meanwhile: all kinds worked so long after its start, while it lasted"
    yield f"{'':>4}{'at':>6}  {'fault':<28}{'lasted':>8}{'well again':>12}{'meanwhile':>11}  what failed"
    for met in stage.met:
        counted = Counter()
        for (_, why), number in verdict.counted[met.number].items():
            counted[why] += number
        failed = ", ".join(f"{number} {why}" for why, number in counted.most_common()) or "nothing"
        if met.note:
            failed += f" ({met.note})"
        at, lasted = stage.sampler.since(met.start), met.cleared - met.start
        yield (
            f"{met.number:>4}{at:>6.0f}  {met.fault.name:<28}{lasted:>6.1f} s{seconds(met.recovered):>12}"
            f"{seconds(met.within):>11}  {failed}"
        )


def lives(verdict):
    """What the programs hold when nobody uses them."""
    yield "at rest, in the longest life of each program"
    yield f"{'':<10}{'points':>7}{'RSS first':>12}{'RSS last':>12}{'descriptors':>24}{'threads':>9}"
    for name, _, points, early, late, descriptors, judged in verdict.lives:
        shown = f"{descriptors[-1]} before, {min(descriptors[:-1])} to {max(descriptors[:-1])}"
        threads = max(usage.threads for _, usage in points)
        yield (
            f"{name:<10}{len(points):>7}{early / MIB:>8.1f} MiB{late / MIB:>8.1f} MiB{shown:>24}{threads:>9}"
            + ("" if judged else "  too few points to judge the memory")
        )
