"""Runs the commands of README.md, and checks that there is no other: see ../readme.sh."""

import pathlib
import sys

from commands import ELSEWHERE, SCENES
from page import commands
from stage import Stage

ROOT = pathlib.Path(__file__).resolve().parents[3]


def problems():
    """What is wrong with the tables of this test, going by the page."""
    written = commands((ROOT / "README.md").read_text())
    here = [step.line for scene in SCENES for step in scene if step.written]
    found = [f"nothing runs this line of README.md: {line}" for line in written if line not in here and line not in ELSEWHERE]
    found += [f"not in README.md: {line}" for line in [*here, *ELSEWHERE] if line not in written]
    found += [f"{path} does not have: {text}" for path, text in ELSEWHERE.values() if text not in (ROOT / path).read_text()]
    return written, found


def main():
    written, found = problems()
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        sys.exit(1)
    print(f"README.md: {len(written)} commands, {len(ELSEWHERE)} of them run by other tests")
    if sys.argv[1] == "--check":
        return
    for scene in SCENES:
        with Stage(ROOT, pathlib.Path(sys.argv[1])) as stage:
            for step in scene:
                stage.play(step)
    print("every command of README.md does what it should")


main()
