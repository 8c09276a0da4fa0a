#!/usr/bin/env python3
"""Checks the directions of dependencies between the crates, and who may name which library.

What may depend on what is the table in docs/architecture.md; a new edge is a decision, not an
accident.
"""

import json
import pathlib
import re
import subprocess
import sys

MAY = {
    "anyproxy-wire": set(),
    "anyproxy-runtime": set(),
    "anyproxy-transport": {"anyproxy-wire", "anyproxy-runtime"},
    "anyproxy-gateway": {"anyproxy-transport", "anyproxy-runtime", "anyproxy-wire"},
    "anyproxy-client": {"anyproxy-transport", "anyproxy-runtime", "anyproxy-wire"},
    "anyproxy-admin": {"anyproxy-runtime", "anyproxy-wire"},
    "anyproxy": {
        "anyproxy-gateway",
        "anyproxy-client",
        "anyproxy-admin",
        "anyproxy-transport",
        "anyproxy-runtime",
        "anyproxy-wire",
    },
}
# A library and the crates that may depend on it.
ONLY = {
    "quinn": {"anyproxy-transport"},
    "tokio-tungstenite": {"anyproxy-transport"},
    "serde": {"anyproxy", "anyproxy-admin"},
    "rusqlite": {"anyproxy"},
    "tokio": set(MAY) - {"anyproxy-wire"},
}

root = pathlib.Path(__file__).resolve().parent.parent
metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout
)
faults = []
for package in metadata["packages"]:
    name = package["name"]
    if name not in MAY:
        continue
    normal = {d["name"] for d in package["dependencies"] if d["kind"] is None}
    for other in sorted(normal & set(MAY)):
        if other not in MAY[name]:
            faults.append(f"{name} must not depend on {other}")
    for library, users in ONLY.items():
        if library in normal and name not in users:
            faults.append(f"{name} must not depend on {library}")
    for module in (root / "crates" / name / "src").rglob("*.rs"):
        if module.stem in {"common", "utils", "util", "types", "errors", "helpers"}:
            faults.append(f"{module.relative_to(root)}: name it after what it does")
        text = module.read_text()
        if name != "anyproxy-transport" and re.search(r"\b(quinn|tungstenite)::", text):
            faults.append(f"{module.relative_to(root)} names a transport library")

print("\n".join(faults) or "dependency directions: as they should be")
sys.exit(bool(faults))
