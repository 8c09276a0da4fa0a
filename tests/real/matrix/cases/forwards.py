"""Clients of forwarded ports: nc, iperf3, and servers that read the PROXY header."""

import hashlib
import json

from ..check import PATIENCE, same, true
from ..curl import curl
from ..program import run
from ..registry import case
from ..setups import BASE, PROXY_PROTOCOL
from .curl_http import ok

# An address of the loopback network that nothing else in the matrix uses.
USER = "127.0.0.77"


@case("nc-half-close", setup=BASE)
def half_close(lab):
    """The target answers only when the user has ended his direction."""
    data = lab.bench.small.read_bytes()
    for whole in (data, b"", b"x"):
        code, out, err = run(["nc", "-N", "127.0.0.1", lab.forwards["sum"]], whole, patience=4 * PATIENCE)
        same(f"nc: {err.strip()}", code, 0)
        same("SHA-256", out.decode().strip(), hashlib.sha256(whole).hexdigest())


@case("iperf3", setup=BASE)
def iperf3(lab):
    """Both directions, several streams; iperf3 compares what each end counted."""
    for direction in ([], ["-R"]):
        command = ["iperf3", "-c", "127.0.0.1", "-p", lab.forwards["iperf"], "-n", "64M", "-P", "2", "-J"]
        code, out, err = run([*command, *direction], patience=4 * PATIENCE)
        report = json.loads(out or b"{}")
        same(f"iperf3 {direction}: {err.strip()} {report.get('error', '')}", code, 0)
        # With -n the receiver may stop a little early; nothing may be made up either.
        true("bytes received", 0 < report["end"]["sum_received"]["bytes"] <= report["end"]["sum_sent"]["bytes"])


def proxy_header(lab, forward):
    """The target learns who the user is."""
    url = f"http://127.0.0.1:{lab.forwards[forward]}/"
    answer = ok(curl("--interface", USER, url))
    same("the user, and the port he came to", answer.text.split(), [USER, str(lab.forwards[forward])])


for each in ("v1", "v2", "nginx-v1", "nginx-v2"):
    name = f"nginx-proxy-{each[6:]}" if "nginx" in each else f"haproxy-proxy-{each}"
    case(name, setup=PROXY_PROTOCOL)(lambda lab, forward=each: proxy_header(lab, forward))
