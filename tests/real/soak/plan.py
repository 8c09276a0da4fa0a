"""What all parts agree on: addresses, ports, groups, and the bytes that are sent."""

import hashlib

# The gateway is in the middle; users and the two clients have a link of their own to it.
GATEWAY_FOR = {"users": "10.77.0.1", "auto": "10.77.1.1", "ws": "10.77.2.1"}
PEER = {"users": "10.77.0.2", "auto": "10.77.1.2", "ws": "10.77.2.2"}

TUNNEL = 8443
HTTP = 8088
SOCKS5 = 1080

# A group for each client, named as the transport that the client takes, so each has its own users.
GROUPS = ("auto", "ws")
# Of the gateway; TCP and UDP.
FORWARD = {"auto": 8001, "ws": 8002}

# At each client, on loopback: the streams and datagrams that `targets` serves, and its web server.
STREAM = 9000
WEB = 9001

# A request without a word for so long is not a visible failure any more: nobody would wait.
HUNG_AFTER = 75


def pattern(key, size):
    """The bytes that belong to a key: nobody else's have a common start with them."""
    return hashlib.shake_128(key.encode()).digest(size)


def digest(data):
    """What the web target answers a POST with."""
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}".encode()
