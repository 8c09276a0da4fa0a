"""Measures over the link. Each takes a fresh pair and the plan and returns numbers by column name."""

import time
from concurrent.futures import ThreadPoolExecutor

from .measure import Measure
from .pair import SERVICE, Failed


def goodput(pair, plan):
    seen = pair.visitor("download", "--warm-up", plan.warm_up, "--seconds", plan.linked)
    return {"goodput_mbit": seen["mbit_s"]}


def requests(pair, plan):
    """Small requests while a download fills the same tunnel."""
    with ThreadPoolExecutor(1) as pool:
        # Longer than the requests take, however many there should be; it ends with the pair.
        pool.submit(_fill, pair, 600)
        try:
            time.sleep(plan.warm_up)
            seen = pair.visitor("requests", "--seconds", plan.linked, "--at-least", plan.requests, seconds=200)
        finally:
            pair.close()
    return {"ttfb_p50_ms": seen["p50_ms"], "ttfb_p99_ms": seen["p99_ms"], "ttfb_samples": seen["samples"],
            "ttfb_failed": seen["failed"]}


def _fill(pair, seconds):
    try:
        pair.visitor("download", "--seconds", seconds, seconds=seconds + 30)
    except Failed:
        # The pair was closed under it.
        pass


def datagrams(pair, plan):
    """What is lost besides what the link itself dropped, each way as it really was."""
    before = pair.network.counts()
    seen = pair.visitor("udp", "--rate", 1000, "--seconds", plan.linked, to=pair.to_datagrams)
    time.sleep(0.6)
    after = pair.network.counts()
    through = 1.0
    for way in ("forth", "back"):
        moved = {name: after[way][name] - before[way][name] for name in ("entered", "lost", "overflowed")}
        through *= 1 - (moved["lost"] + moved["overflowed"]) / max(moved["entered"], 1)
    return {"lossy_udp_excess_pct": seen["loss_pct"] - 100 * (1 - through), "lossy_udp_p50_ms": seen["p50_us"] / 1000}


def fairness(pair, plan):
    """A download through the tunnel beside one of plain TCP, which begins first: the smaller share of the link."""
    length = ("--warm-up", plan.warm_up, "--seconds", 2 * plan.linked)
    with ThreadPoolExecutor(1) as pool:
        plain = pool.submit(pair.visitor, "download", *length, to=f"{pair.b_address}:{SERVICE}", seconds=90)
        time.sleep(0.2)
        ours = pair.visitor("download", *length, seconds=90)["mbit_s"]
        other = plain.result()["mbit_s"]
    return {"fair_tunnel_pct": 100 * ours / plan.rate_mbit, "fair_tcp_pct": 100 * other / plan.rate_mbit}


MEASURES = {
    "goodput": Measure(goodput),
    "requests": Measure(requests),
    "lossy-udp": Measure(datagrams, of_datagrams=True),
    "fairness": Measure(fairness, of_processes=True),
}
