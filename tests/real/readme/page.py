"""The commands of a page."""

import re

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Two blanks at least: a single one may be part of a command.
COMMENT = re.compile(r"\s{2,}# .*$")


def commands(text):
    """Each line of each block for the shell, without its comment."""
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
    return [COMMENT.sub("", line).strip() for line in lines if line.strip()]
