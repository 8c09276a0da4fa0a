"""The test matrix: real clients, over both transports, against the built program.

    python3 -m matrix [-t quic|ws] [-l] [case…]

A case is given by its name or a pattern (`dig-*`, `get:*`). ANYPROXY names the program, CURL a curl of
8.1 or later, SIZE_MIB the size of the big file.
"""

import argparse
import fnmatch
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from . import cases  # noqa: F401 - registers them
from .bench import Bench
from .check import Failed
from .lab import Lab
from .registry import CASES


class Report:
    """A line for each case, and a summary."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    def line(self, transport, name, seconds, problem=None):
        verdict = "ok" if problem is None else f"FAILED: {problem}"
        print(f"{transport:4}  {name:32}  {seconds:6.1f} s  {verdict}", flush=True)
        if problem is None:
            self.passed += 1
        else:
            self.failed.append(f"{transport} {name}")

    def summary(self):
        print(f"\n{self.passed} passed, {len(self.failed)} failed")
        for name in self.failed:
            print(f"  {name}")


def attempt(report, transport, name, work):
    """Runs one step and reports it; nothing that a step does ends the matrix."""
    began, problem, result = time.monotonic(), None, None
    try:
        result = work()
    except Failed as failure:
        problem = str(failure)
    except (Exception, subprocess.SubprocessError) as error:  # noqa: BLE001 - a case's failure
        place = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    report.line(transport, name, time.monotonic() - began, problem)
    return result


def run_setup(bench, report, transport, setup, chosen):
    """One lab and its cases."""
    began = time.monotonic()
    try:
        lab = Lab(bench, transport, setup).start()
    except Failed as failure:
        for case in chosen:
            report.line(transport, case.name, 0, f"no {setup.name} lab: {failure}")
        return
    print(f"# {transport}: {setup.name} is up after {time.monotonic() - began:.1f} s", flush=True)
    for case in chosen:
        attempt(report, transport, case.name, lambda case=case: case.run(lab))
    attempt(report, transport, f"ends-well:{setup.name}", lab.stop)


def select(patterns):
    """The cases whose names match, in the order of their setups."""
    matching = [
        case
        for case in CASES
        if not patterns or any(fnmatch.fnmatch(case.name, pattern) for pattern in patterns)
    ]
    unknown = [p for p in patterns if not any(fnmatch.fnmatch(case.name, p) for case in CASES)]
    if unknown:
        sys.exit(f"no such case: {' '.join(unknown)} (-l lists them)")
    setups = {}
    for case in matching:
        setups.setdefault(case.setup, []).append(case)
    return setups


def arguments():
    parser = argparse.ArgumentParser(prog="matrix.sh", description=__doc__.splitlines()[0])
    parser.add_argument("-t", "--transport", choices=["quic", "ws"], help="only this transport")
    parser.add_argument("-l", "--list", action="store_true", help="list the cases")
    parser.add_argument("cases", nargs="*", help="names or patterns; all when none is given")
    return parser.parse_args()


def main():
    options = arguments()
    setups = select(options.cases)
    if options.list:
        for setup, chosen in setups.items():
            print(*(f"{setup.name:16} {case.name}" for case in chosen), sep="\n")
        return 0
    report = Report()
    directory = tempfile.mkdtemp(prefix="anyproxy-matrix-")
    try:
        bench = Bench(directory)
    except BaseException:
        shutil.rmtree(directory)
        raise
    try:
        for transport in [options.transport] if options.transport else ["quic", "ws"]:
            for setup, chosen in setups.items():
                run_setup(bench, report, transport, setup, chosen)
    finally:
        bench.close()
    report.summary()
    if report.failed:
        for big in (bench.file, bench.small):
            big.unlink()
        print(f"logs: {directory}")
    else:
        shutil.rmtree(directory)
    return 1 if report.failed else 0


sys.exit(main())
