"""What `anyproxy doctor` says of set-ups that are broken.

    python3 -m doctor [-l] [-j JOBS] [set-up…]

A set-up is given by its name or by a pattern (`udp-*`). ANYPROXY names the program.
"""

import argparse
import fnmatch
import os
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faults.net import Net
from matrix.check import Failed, fail, same, within

from .clinic import Clinic
from .setups import SETUPS


def program():
    path = Path(os.environ.get("ANYPROXY") or "target/release/anyproxy").resolve()
    if not path.exists():
        sys.exit(f"{path} is not there: cargo build --release, or name it with ANYPROXY")
    return path


def judge(report, wanted):
    """Fails unless the report has it; the lines in which it says so."""
    found = [each for each in report.found(wanted.check) if each["status"] == wanted.status]
    if not found:
        fail(f"no {wanted.status} of {wanted.check}:\n{report.text}")
    one = next((each for each in found if all(part in each["value"] for part in wanted.value)), found[0])
    for part in wanted.value:
        within(f"what {wanted.check} says", one["value"], part)
    for part in wanted.fix:
        within(f"what repairs {wanted.check}", one.get("fix", ""), part)
    failed = sorted(each["check"] for each in report.json["checks"] if each["status"] == "fail")
    if wanted.alone:
        same(f"what failed, in\n{report.text}", failed, [wanted.check] if wanted.status == "fail" else [])
    same("the exit code", report.code, 1 if failed else 0)
    result = "fail" if failed else report.json["result"]
    same("the result", report.json["result"], result)
    for finding in report.json["checks"]:
        if finding["status"] in ("warn", "fail") and not finding.get("fix"):
            fail(f"{finding['check']} has nothing that repairs it: {finding['value']}")
    return printed(report, wanted)


def printed(report, wanted):
    """The same, as people see it."""
    head = f"{ {'ok': 'ok', 'warn': 'warn', 'fail': 'FAIL'}[wanted.status]:<5} {wanted.check} "
    lines = report.text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(head) and all(part in line for part in wanted.value):
            below = lines[number + 1] if number + 1 < len(lines) else ""
            fix = below if below.lstrip().startswith("fix: ") else ""
            for part in wanted.fix:
                within("the line below", fix, part)
            return [line, *([fix] if fix else [])]
    return fail(f"no line of {wanted.check} as JSON has it:\n{report.text}")


def attempt(path, directory, setup):
    """Plays one set-up; nothing that it does ends the script."""
    mine = directory / setup.name
    mine.mkdir()
    try:
        with Net() as net, Clinic(path, net, mine) as clinic:
            report, wanted = setup.play(clinic)
            return setup, report.code, judge(report, wanted), True
    except Failed as reason:
        return setup, "", str(reason).splitlines(), False
    except Exception:
        return setup, "", traceback.format_exc().splitlines(), False


def show(result):
    setup, code, lines, well = result
    print(f"{'ok' if well else 'FAILED':<7}{setup.name}: {setup.about}" + (f"; exit code {code}" if well else ""))
    for line in lines:
        print(f"         {line}", flush=True)


def main():
    parser = argparse.ArgumentParser(prog="tests/real/doctor.sh")
    parser.add_argument("-l", action="store_true", help="list the set-ups")
    parser.add_argument("-j", type=int, default=4, metavar="JOBS", help="how many at once")
    parser.add_argument("setups", nargs="*", default=["*"])
    chosen = parser.parse_args()
    setups = [one for one in SETUPS if any(fnmatch.fnmatch(one.name, pattern) for pattern in chosen.setups)]
    if chosen.l:
        print("\n".join(f"{one.name:<28} {one.about}" for one in setups))
        return
    if not setups:
        sys.exit("there is no such set-up; -l lists them")
    results = []
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(chosen.j) as jobs:
        play = lambda one: attempt(program(), Path(directory), one)  # noqa: E731
        for result in jobs.map(play, [one for one in setups if not one.machine]):
            show(result)
            results.append(result)
        for one in setups:
            if one.machine:
                results.append(play(one))
                show(results[-1])
    failed = [setup.name for setup, _, _, well in results if not well]
    print(f"\ndoctor: {len(results) - len(failed)} of {len(results)} set-ups are named with their cause")
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}")


main()
