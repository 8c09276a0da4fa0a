"""What a case says when it does not hold, and how it waits: always for something, never for longer
than a bound."""

import time

# The bound of every wait that has no better one, in seconds. Only a failing case gets near it.
PATIENCE = 30


class Failed(Exception):
    """A case does not hold. The text is the reason in one line."""


def fail(reason):
    raise Failed(reason)


def same(what, seen, wanted):
    """`seen` must equal `wanted`."""
    if seen != wanted:
        fail(f"{what}: {short(seen)}, not {short(wanted)}")


def within(what, whole, part):
    """`part` must occur in `whole`."""
    if part not in whole:
        fail(f"{what}: no {short(part)} in {short(whole)}")


def without(what, whole, part):
    """`part` must not occur in `whole`."""
    if part in whole:
        fail(f"{what}: {short(part)} in {short(whole)}")


def true(what, seen):
    """`seen` must hold."""
    if not seen:
        fail(what)


def short(value):
    """One line for a report."""
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} … {text[-180:]}"


def until(what, probe, patience=PATIENCE):
    """Polls `probe` until it gives something true, which is returned."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if found := probe():
            return found
        time.sleep(0.01)
    return fail(f"{what}: not within {patience} s")
