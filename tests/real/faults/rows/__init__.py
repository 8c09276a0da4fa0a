"""All rows; importing them registers them, in this order."""

from . import udp, link, paths, processes, tcp  # noqa: F401
