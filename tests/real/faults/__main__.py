"""Faults of the network and of the programs, with the built program in network namespaces.

    python3 -m faults [-l] [-j JOBS] [--report FILE] [row…]

A row is given by its name, with or without a transport, or by a pattern (`udp-*`, `*:ws`). ANYPROXY names the program.
"""

import argparse
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import rows  # noqa: F401 - registers them
from .bench import Bench
from .check import Failed
from .lab import Lab
from .net import Net
from .registry import ROWS
from .report import Line, Report


def attempt(bench, row):
    """Runs one row; nothing that it does ends the script."""
    began, line = time.monotonic(), Line(row)
    directory = bench.dir / row.full_name
    directory.mkdir()
    try:
        with Net(row.wire) as net, Lab(bench, net, row.transport, directory) as lab:
            lab.use_certificates(bench.certs)
            if row.fault_first:
                lab.start_outer()
            else:
                lab.start(*row.client)
            line.seen = row.run(lab)
            net.heal()
            line.before, line.after = lab.before, lab.after()
            lab.end()
    except Failed as failure:
        line.problem = str(failure)
    except (Exception, subprocess.SubprocessError) as error:  # noqa: BLE001 - a row's failure
        place = traceback.extract_tb(error.__traceback__)[-1]
        line.problem = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    line.seconds = time.monotonic() - began
    return line


def select(patterns):
    """The rows whose names match."""

    def matches(row, pattern):
        return fnmatch.fnmatch(row.name, pattern) or fnmatch.fnmatch(row.full_name, pattern)

    unknown = [p for p in patterns if not any(matches(row, p) for row in ROWS)]
    if unknown:
        sys.exit(f"no such row: {' '.join(unknown)} (-l lists them)")
    return [row for row in ROWS if not patterns or any(matches(row, p) for p in patterns)]


def arguments():
    parser = argparse.ArgumentParser(prog="faults.sh", description=__doc__.splitlines()[0])
    parser.add_argument("-l", "--list", action="store_true", help="list the rows")
    parser.add_argument("-j", "--jobs", type=int, default=4, help="how many rows at a time; most of them wait")
    parser.add_argument("--report", type=Path, help="write the table to this file, as Markdown")
    parser.add_argument("rows", nargs="*", help="names or patterns; all when none is given")
    return parser.parse_args()


def run(bench, chosen, jobs):
    """All rows, some at a time; the report in their order."""
    report = Report()
    with ThreadPoolExecutor(jobs) as pool:
        for line in pool.map(lambda row: attempt(bench, row), chosen):
            report.add(line)
    return report


def interrupted(directory):
    """Nothing is waited for: the wrapper ends what runs in our namespaces."""
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(130)


def main():
    options = arguments()
    chosen = select(options.rows)
    if options.list:
        print(*(f"{row.full_name:32} {row.fault}" for row in chosen), sep="\n")
        return 0
    directory = Path(tempfile.mkdtemp(prefix="anyproxy-faults-"))
    signal.signal(signal.SIGTERM, lambda *_: interrupted(directory))
    try:
        report = run(Bench(directory), chosen, options.jobs)
    except BaseException:
        shutil.rmtree(directory)
        raise
    report.summary()
    if options.report:
        options.report.write_text(report.markdown())
    if report.failed():
        (directory / "file").unlink()
        print(f"logs: {directory}")
        return 1
    shutil.rmtree(directory)
    return 0


sys.exit(main())
