"""All rows; importing them registers them."""

from . import link, paths, processes, tcp, udp  # noqa: F401
