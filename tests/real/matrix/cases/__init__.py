"""The cases, by the client that they drive. Importing a module registers its cases."""

from . import (  # noqa: F401
    curl_bodies,
    curl_http,
    curl_outcomes,
    curl_tls,
    websocket,
    python_clients,
    openssh,
    forwards,
    h2_client,
    names,
    browser,
    groups,
    takeover,
)
