"""What `bench/run` takes, and the order in which things happen."""

import argparse
import dataclasses
import json
import os
import signal
import sys
import tempfile
import time

from . import growth, linked, loopback, machine, programs, report
from .certificates import Certificates
from .entries import all_entries
from .namespaces import Missing, control_obstacle
from .plan import FULL, QUICK
from .process import find
from .runner import Runner

WHOLE = ("whole", "whole_resting", "whole_tail")
TOOLS = ("ip", "ss", "sysctl", "ethtool", "openssl", "iperf3")


def words(text):
    return [word for word in text.split(",") if word]


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description="Compares AnyProxy with other tunnels. See bench/README.md.")
    parser.add_argument("--list", action="store_true", help="show the entries, and which are absent")
    parser.add_argument("--quick", action="store_true", help="one short run of everything, to see that it works")
    parser.add_argument("--only", type=words, metavar="A,B", help="these entries")
    parser.add_argument("--skip", type=words, default=[], metavar="A,B", help="not these entries")
    parser.add_argument("--measures", type=words, metavar="A,B",
                        help=f"of {', '.join([*loopback.MEASURES, *growth.NAMES, *linked.MEASURES])}")
    parser.add_argument("--runs", type=int, help="how often each is measured (3)")
    parser.add_argument("--cc", type=words, metavar="A,B",
                        help="TCP congestion controls; loopback and growth take the first, the link each (the machine's own)")
    parser.add_argument("--loss", metavar="A,B", type=lambda text: tuple(map(float, words(text))),
                        help="percent lost each way (0,1,3,5)")
    for name, kind in (("delay-ms", float), ("rate-mbit", float), ("queue-kb", float)):
        parser.add_argument(f"--{name}", type=kind, help="of the link, each way")
    parser.add_argument("--out", metavar="DIR", help="where the results go (bench/results/TIME)")
    parser.add_argument("--keep", action="store_true", help="keep configurations and logs")
    parser.add_argument("--note", action="append", default=[], help="a remark that heads the report")
    parser.add_argument("--report", nargs="+", metavar="JSON", help="measure nothing; write the report of these results again")
    return parser.parse_args()


def main():
    options = arguments()
    # An end from outside takes the same way as a key: every process and namespace of ours goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    out = options.out or os.path.join(programs.BENCH, "results", time.strftime("%Y%m%d-%H%M%S"))
    if options.list:
        return show_entries()
    if options.report:
        return write(out, merged(options.report))
    present, absent = chosen(options)
    plan, measures, controls = planned(options), options.measures, options.cc or [None]
    known = {*loopback.MEASURES, *growth.NAMES, *linked.MEASURES}
    unknown = [name for name in measures or () if name not in known]
    if unknown:
        sys.exit(f"no such measure: {', '.join(unknown)}")
    obstacles = obstacle()
    if obstacles:
        sys.exit(obstacles)
    programs.build()
    for control in filter(None, controls):
        if complaint := control_obstacle(control):
            sys.exit(complaint)
    result = {"machine": machine.facts(), "plan": dataclasses.asdict(plan), "absent": absent, "notes": options.note,
              "records": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        directory = os.path.join(out, "work") if options.keep else scratch
        runner = Runner(plan, Certificates(os.path.join(scratch, "certificates")), directory, options.keep, progress)
        result["records"] = runner.records
        try:
            runner.loopback(present, measures or loopback.MEASURES, controls[0])
            runner.growth(present, measures or (growth.NAME,), controls[0])
            for control in controls:
                runner.linked(present, measures or linked.MEASURES, control)
        except Missing as missing:
            result["notes"].append(f"ended early: {missing}")
        finally:
            if runner.records:
                write(out, result)
    return verdict(present, runner.records)


def verdict(entries, records):
    """The status: what is broken in ours, or in the bench itself, is a failure; in a peer it is a finding."""
    judged = {entry.name for entry in entries if entry.ours or entry.direct}
    broken = [record for record in records if record["entry"] in judged
              and ("error" in record or any(record["numbers"].get(name) == 0 for name in WHOLE))]
    for record in broken:
        print(f"broken: {record['entry']}, {record['measure']}: {record.get('error', 'bytes are missing or wrong')}")
    return 1 if broken else 0


def show_entries():
    for entry in all_entries():
        absent = entry.absent()
        print(f"{entry.name:16} {entry.about}" + (f"   (absent: {', '.join(absent)})" if absent else ""))
    return 0


def chosen(options):
    """The entries to measure, and those left out with what they lack."""
    entries = all_entries()
    unknown = set(options.only or ()) | set(options.skip)
    unknown -= {entry.name for entry in entries}
    if unknown:
        sys.exit(f"no such entry: {', '.join(sorted(unknown))} (bench/run --list)")
    wanted = [entry for entry in entries
              if entry.name not in options.skip and (not options.only or entry.name in options.only)]
    absent = {entry.name: entry.absent() for entry in wanted if entry.absent()}
    for name, needs in absent.items():
        print(f"{name}: left out, absent: {', '.join(needs)}", flush=True)
    present = [entry for entry in wanted if entry.name not in absent]
    if any(entry.ours for entry in wanted if entry.name in absent):
        sys.exit(f"{programs.anyproxy()} is absent: cargo build --release, or set ANYPROXY")
    return present, absent


def planned(options):
    given = {"runs": options.runs, "losses": options.loss, "delay_ms": options.delay_ms,
             "rate_mbit": options.rate_mbit, "queue_kb": options.queue_kb}
    return dataclasses.replace(QUICK if options.quick else FULL,
                               **{name: value for name, value in given.items() if value is not None})


def obstacle():
    if os.geteuid() != 0:
        return "bench/run makes network namespaces, so it needs root"
    missing = [name for name in TOOLS if not find(name)]
    return f"absent: {', '.join(missing)}. bench/install-peers --tools installs them" if missing else None


def progress(record):
    place = report.place(record)
    shown = record.get("error") or "  ".join(
        f"{name} {value:.6g}" for name, value in record["numbers"].items() if value is not None)
    print(f"{record['run']} {record['entry']:14} {record['measure']:11} {place} {shown}  [{record['seconds']} s]", flush=True)


def merged(paths):
    """Several results as one; the first says what the machine was like."""
    results = []
    for path in paths:
        with open(path) as file:
            results.append(json.load(file))
    first = results[0]
    for other in results[1:]:
        first["records"] += other["records"]
        first["absent"].update(other["absent"])
        first["notes"] += [note for note in other["notes"] if note not in first["notes"]]
    measured = {record["entry"] for record in first["records"]}
    first["absent"] = {name: needs for name, needs in first["absent"].items() if name not in measured}
    return first


def write(out, result):
    os.makedirs(out, exist_ok=True)
    files = {"results.json": json.dumps(result, indent=1) + "\n", "results.md": report.markdown(result),
             **report.plots(result)}
    for name, text in files.items():
        with open(os.path.join(out, name), "w") as file:
            file.write(text)
    print(f"results: {out}/results.md", flush=True)
    return 0
