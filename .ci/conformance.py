#!/usr/bin/env python3
"""Checks that docs/conformance.md and docs/security.md tell the truth about which tests there are.

A test is named there by its path, `file::name` below tests/tests or `crate::module::name`, with `*`
for any part of a name. Each of the 44 cases has one row; each name in it must match a test; a row
of both transports must name one that runs over both; a row without a test says why. In docs/security.md each
threat names a test, and each name matches one.
"""

import collections
import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = 44
TEST = re.compile(r"#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)")
# Macros that make a module of tests, over both transports, from each case.
CASES_OF_MACRO = re.compile(r"^(?:simulated|everywhere)! \{([\w\s]*)\}", re.MULTILINE)
MODULE = re.compile(r"^mod (\w+) \{", re.MULTILINE)
SUFFIX = re.compile(r"over_(quic|websocket)")
# A test that goes through both by itself.
EITHER = re.compile(r"\bin (?:BOTH\b|\[Transport::Quic, Transport::WebSocket\])")


def module_of(path, base):
    parts = list(path.relative_to(base).with_suffix("").parts)
    return [part for part in parts if part not in ("mod", "lib", "main")]


def tests():
    """Every test by its path, with the transports that it runs over."""
    found = collections.defaultdict(set)
    places = [(ROOT / "tests" / "tests", [])]
    for crate in sorted((ROOT / "crates").iterdir()):
        places += [(crate / "src", [crate.name]), (crate / "tests", [crate.name])]
    for base, prefix in places:
        for path in base.rglob("*.rs"):
            text = path.read_text()
            module = prefix + module_of(path, base)
            inline = [(m.start(), text.find("\n}", m.end()), m.group(1)) for m in MODULE.finditer(text)]
            for test in TEST.finditer(text):
                at, name = test.start(), test.group(1)
                inner = [title for start, end, title in inline if start < at < end]
                body = text[at : text.find("\n}", at)]
                over = set(SUFFIX.findall(name))
                if "both_transports" in name or EITHER.search(body):
                    over = {"quic", "websocket"}
                found["::".join(module + inner + [name])] |= over
            for cases in CASES_OF_MACRO.findall(text):
                for name in cases.split():
                    found["::".join(module + [name])] |= {"quic", "websocket"}
    return found


def rows(text):
    for line in text.splitlines():
        row = re.fullmatch(r"\| (\d+) [^|]*\|([^|]*)\| (both|quic|ws|–) \|", line)
        if row:
            yield int(row.group(1)), row.group(2), row.group(3)
        elif re.match(r"\| \d", line):
            yield 0, line, ""


def threats(known):
    """What is wrong with the threats of docs/security.md."""
    text = (ROOT / "docs" / "security.md").read_text().split("\n## Threats\n")[1].split("\n## ")[0]
    for line in [line for line in text.splitlines() if line.startswith("| ")][2:]:
        what, *_, cell = line.strip("| ").split(" | ")
        names = [span for span in re.findall(r"`([^`]+)`", cell) if "::" in span]
        if not names:
            yield f"{what}: no test"
        yield from (f"{what}: there is no test {name}" for name in names if not fnmatch.filter(known, name))


def main():
    known = tests()
    faults, seen = list(threats(known)), collections.Counter()
    for case, cell, transport in rows((ROOT / "docs" / "conformance.md").read_text()):
        if case == 0:
            faults.append(f"not a row as the others: {cell}")
            continue
        seen[case] += 1
        spans = re.findall(r"`([^`]+)`", cell)
        names = [span for span in spans if "::" in span]
        for path in (span for span in spans if re.match(r"(\.ci|tests|docs|configs)/", span)):
            if not (ROOT / path).exists():
                faults.append(f"case {case}: there is no {path}")
        over = set()
        for name in names:
            matching = fnmatch.filter(known, name)
            if not matching:
                faults.append(f"case {case}: there is no test {name}")
            # Only what one name matches shows one thing over both.
            transports = set().union(*(known[test] for test in matching))
            over |= {"both"} if transports == {"quic", "websocket"} else set()
        if transport == "both" and not over:
            faults.append(f"case {case}: no test of it runs over both transports")
        if not names and "later" not in cell and "no test" not in cell:
            faults.append(f"case {case}: neither a test nor a reason")
    faults += [f"case {n}: {seen[n]} rows" for n in range(1, CASES + 1) if seen[n] != 1]
    print("\n".join(faults) or f"conformance: {CASES} cases and the threats, all their tests exist")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
