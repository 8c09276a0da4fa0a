#!/usr/bin/env python3
"""Checks that nothing which reads bytes of strangers can panic unseen, or goes without a fuzz target.

docs/resilience.md has the table of decoders: what, files, fuzz targets. Each file, or a module above it, must
deny the lints below outside of tests; each fuzz target must exist, and each one must be in the table.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINTS = (
    "arithmetic_side_effects cast_possible_truncation cast_possible_wrap cast_sign_loss expect_used "
    "indexing_slicing panic string_slice unreachable unwrap_used"
).split()
ROW = re.compile(r"^\| ([^|]+) \| ((?:`crates/[^`]+`(?:, )?)+) \| ((?:`\w+`(?:, )?)+) \|$", re.MULTILINE)
DENY = re.compile(r"#!\[cfg_attr\(\s*not\(test\),\s*deny\(([^)]*)\)", re.DOTALL)


def denies(path):
    """Whether the module's own head denies all of the lints."""
    if not path.is_file():
        return False
    found = DENY.search(path.read_text())
    return bool(found) and all(f"clippy::{lint}" in found.group(1) for lint in LINTS)


def is_covered(path):
    """Whether the file or a module above it does."""
    source = path
    while source.name != "src":
        source = source.parent
    heads = [path, source / "lib.rs"]
    for parent in path.relative_to(source).parents:
        heads += [source / parent / "mod.rs", (source / parent).with_suffix(".rs")]
    return any(denies(head) for head in heads)


def main():
    faults = []
    text = (ROOT / "docs" / "resilience.md").read_text()
    known = set(re.findall(r'^\[\[bin\]\]\nname = "(\w+)"', (ROOT / "fuzz" / "Cargo.toml").read_text(), re.M))
    named, decoders = set(), 0
    for _, files, targets in ROW.findall(text):
        decoders += 1
        named |= set(re.findall(r"`(\w+)`", targets))
        for name in re.findall(r"`([^`]+)`", files):
            path = ROOT / name
            if not path.is_file():
                faults.append(f"there is no {name}")
            elif not is_covered(path):
                faults.append(f"{name}: the lints against panics are not denied there")
    if decoders == 0:
        faults.append("docs/resilience.md has no table of decoders")
    faults += [f"no fuzz target {name}" for name in sorted(named - known)]
    faults += [f"fuzz target {name} is not in the table of decoders" for name in sorted(known - named)]
    print("\n".join(faults) or f"decoders: {decoders} rows, {len(known)} fuzz targets")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
