"""The run: traffic and faults in turn, quiet points between them, and the verdict.

    python3 -m soak [--seconds 600] [--seed 1] [--out DIR]
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import plot, report
from .faults import schedule
from .judge import Verdict
from .stage import Stage

# Between a fault and the next, in seconds.
CALM = 4
QUIET_EVERY = 85
# What the last quiet point and the end of the programs take.
LAST = 30


def options():
    parser = argparse.ArgumentParser(prog="tests/real/soak.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600, help="how long, at least 120")
    parser.add_argument("--seed", type=int, default=1, help="of the order of faults and of the traffic")
    parser.add_argument("--out", type=Path, help="directory for report.txt, report.svg, samples.csv and the logs")
    settings = parser.parse_args()
    if settings.seconds < 120:
        parser.error("--seconds: at least 120")
    return settings


def say(line):
    print(line, flush=True)


def soak(stage, settings):
    """Traffic and faults for the time that was asked for."""
    end = time.monotonic() + settings.seconds
    stage.rest()
    stage.go()
    quiet = time.monotonic() + QUIET_EVERY
    for fault in schedule(settings.seed):
        if time.monotonic() > end - LAST - CALM - fault.hold:
            break
        met = stage.inject(fault)
        at = stage.sampler.since(met.start)
        say(f"{at:>6.0f} s  {fault.name}: well again after {report.seconds(met.recovered)}")
        stage.sleep(CALM)
        if time.monotonic() > quiet and time.monotonic() < end - QUIET_EVERY / 2:
            stage.rest()
            stage.go()
            quiet = time.monotonic() + QUIET_EVERY
    stage.rest()
    # Nobody is left to wait for, so they end at once.
    for program in reversed(stage.programs.values()):
        if (took := program.end()) > 2:
            stage.unsettled.append(f"{program.name} took {took:.1f} s to end though nobody used it")


def run(directory, settings):
    """A whole run; gives the exit code."""
    with Stage(directory, settings.seed) as stage:
        say(f"seed {settings.seed}; faults: {', '.join(fault.name for fault in first(settings.seed))}, …")
        soak(stage, settings)
        stage.sampler.end()
        verdict = Verdict(stage)
        text = report.text(stage, verdict, settings)
    say("\n" + text)
    if settings.out:
        settings.out.mkdir(parents=True, exist_ok=True)
        (settings.out / "report.txt").write_text(text)
        (settings.out / "report.svg").write_text(plot.draw(stage, verdict, settings))
        stage.sampler.write(settings.out / "samples.csv")
        for log in directory.glob("*.log"):
            shutil.copy(log, settings.out)
    return 1 if verdict.complaints else 0


def first(seed):
    """The faults of the first round."""
    order, seen = schedule(seed), []
    while (fault := next(order)).name not in {one.name for one in seen}:
        seen.append(fault)
    return seen


def main():
    settings = options()
    # Ends by an exception, so everything is cleaned up.
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda *_: sys.exit(130))
    # The secrets of the run stay here.
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        return run(Path(directory), settings)


if __name__ == "__main__":
    sys.exit(main())
