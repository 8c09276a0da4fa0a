"""What a row must show; the same words as the matrix has."""

from matrix.check import Failed, fail, same, true, until, within, without  # noqa: F401


def at_most(what, seen_ms, bound_ms):
    """A time must not be longer than a bound."""
    if seen_ms > bound_ms:
        fail(f"{what}: {seen_ms} ms, more than {bound_ms}")
