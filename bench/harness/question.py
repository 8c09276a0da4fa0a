"""Questions to a gateway's status socket (docs/metrics.md)."""

import re
import socket


def _ask(path, what):
    """The status and text of an answer; (0, "") when nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(5)
            stream.connect(path)
            stream.sendall(f"GET {what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            with stream.makefile("rb") as answer:
                text = answer.read().decode(errors="replace")
        return int(text.split()[1]), text
    except (OSError, ValueError, IndexError):
        return 0, ""


def ready(path):
    return _ask(path, "/readyz")[0] == 200


def counted(metrics):
    """The live sessions that a gateway's metrics tell, over all groups and transports."""
    return sum(int(float(value)) for value in re.findall(r"^anyproxy_sessions(?:\{[^}]*\})? (\S+)", metrics, re.MULTILINE))


def sessions(path):
    return counted(_ask(path, "/metrics")[1])
