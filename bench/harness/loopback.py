"""Measures on loopback. Each takes a fresh pair and the plan and returns numbers by column name."""

import json
import subprocess
import time

from .measure import Measure
from .pair import Failed

GIB = 1 << 30
EXIT_PATIENCE = 10


def latency(pair, plan):
    pings = pair.visitor("pingpong", "--seconds", plan.short)
    churn = pair.visitor("churn", "--seconds", plan.short, "--workers", 32)
    return {"ping_p50_us": pings["p50_us"], "ping_p99_us": pings["p99_us"], "connections_s": churn["per_second"],
            "connection_p99_ms": churn["p99_ms"], "connections_failed": churn["failed"]}


def datagrams(pair, plan):
    numbers = {}
    for rate, name in ((2000, "2k"), (20_000, "20k")):
        seen = pair.visitor("udp", "--rate", rate, "--seconds", plan.short / 2, to=pair.to_datagrams)
        numbers[f"udp_{name}_loss_pct"], numbers[f"udp_{name}_p50_us"] = seen["loss_pct"], seen["p50_us"]
    return numbers


def bulk(pair, plan):
    """iperf3 through the tunnel; the rate is the receiver's, and so are the bytes that CPU time is divided by."""
    numbers = {}
    for way, option in (("down", ["-R"]), ("up", [])):
        for connections in (1, 8):
            before = pair.cpu_seconds("A"), pair.cpu_seconds("B")
            received = _iperf(pair, connections, plan.bulk, option)
            after = pair.cpu_seconds("A"), pair.cpu_seconds("B")
            name = f"{way}_{connections}"
            numbers[f"{name}_mbit"] = received["bits_per_second"] / 1e6
            gib = received["bytes"] / GIB
            if gib and pair.processes:
                numbers[f"{name}_cpu_a"], numbers[f"{name}_cpu_b"] = ((b - a) / gib for a, b in zip(before, after))
                numbers[f"{name}_cpu"] = numbers[f"{name}_cpu_a"] + numbers[f"{name}_cpu_b"]
    return numbers


def _iperf(pair, connections, seconds, options):
    argv = ["ip", "netns", "exec", pair.network.a, "iperf3", "-J", "-c", pair.host, "-p", str(pair.port),
            "-t", str(seconds), "-P", str(connections), "--connect-timeout", "3000", *options]
    # It answers "busy" for a moment after the run before.
    for attempt in range(4):
        try:
            printed = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=seconds + 20).stdout
            result = json.loads(printed)
        except (subprocess.TimeoutExpired, ValueError):
            raise Failed(f"iperf3 with {connections} connections did not come to an end") from None
        if "error" not in result:
            return result["end"]["sum_received"]
        time.sleep(0.5)
    raise Failed(f"iperf3: {result['error']}")


def memory(pair, plan):
    """Proportional set sizes of both sides, in the order idle, open, closed: one pair for each number of them."""
    time.sleep(0.5)
    count = plan.held[0]
    numbers = {"memory_idle_mib": pair.memory_mib()}
    numbers.update(_held(pair, count, plan))
    return numbers


def much_memory(pair, plan):
    time.sleep(0.5)
    return _held(pair, plan.held[1], plan)


def _held(pair, count, plan):
    idle = pair.memory_mib()
    holder, opened = pair.resident("hold", "--count", count)
    try:
        time.sleep(1)
        name = f"memory_{count}"
        numbers = {f"{name}_failed": opened["failed"]}
        if opened["open"]:
            numbers[f"{name}_mib"] = pair.memory_mib()
            numbers[f"{name}_each_kib"] = (numbers[f"{name}_mib"] - idle) * 1024 / opened["open"]
    finally:
        holder.handle.stdin.close()
        try:
            holder.handle.wait(10)
        except subprocess.TimeoutExpired:
            holder.kill()
    time.sleep(plan.rest_after_close)
    numbers[f"{name}_closed_mib"] = pair.memory_mib()
    return numbers


def integrity(pair, plan):
    numbers = {}
    for name, options in (("whole", ()), ("whole_resting", ("--rest-ms", 1500)), ("whole_tail", ("--ending", "at-once"))):
        seen = pair.visitor("verify", "--mib", plan.checked_mib, *options, seconds=90)
        numbers[name] = seen["whole"]
        numbers[f"{name}_missing"] = plan.checked_mib * (1 << 20) - seen["received"]
    return numbers


def stalled(pair, plan):
    """One visitor does not read an endless download: what is held for it, and what others notice."""
    before = pair.visitor("pingpong", "--seconds", plan.short / 2)["p50_us"]
    resting = pair.memory_mib()
    reader, _ = pair.resident("stall")
    try:
        time.sleep(1.5)
        grown = pair.memory_mib() - resting
        after = pair.visitor("pingpong", "--seconds", plan.short / 2)["p50_us"]
    finally:
        reader.kill()
    return {"stalled_grown_mib": grown, "stalled_other_p50": after / before}


def ending(side):
    """Milliseconds from SIGTERM to the end of one side, while connections are live and the other side stays."""
    def measure(pair, plan):
        if not pair.sides[side]:
            return {}
        holder, opened = pair.resident("hold", "--count", plan.live_at_exit)
        try:
            time.sleep(0.5)
            took = [process.stop(EXIT_PATIENCE) for process in pair.sides[side]]
        finally:
            holder.kill()
        if None in took:
            raise Failed(f"{side} had to be killed {EXIT_PATIENCE} s after SIGTERM, with {opened['open']} live connections")
        return {f"exit_{side.lower()}_ms": 1000 * sum(took), f"exit_{side.lower()}_live": opened["open"]}
    return measure


# In the order in which they run.
MEASURES = {
    "latency": Measure(latency),
    "udp": Measure(datagrams, of_datagrams=True),
    "bulk": Measure(bulk, "iperf3"),
    "memory": Measure(memory, of_processes=True),
    "much-memory": Measure(much_memory, of_processes=True),
    "integrity": Measure(integrity),
    "stalled": Measure(stalled, of_processes=True),
    "exit-a": Measure(ending("A"), of_processes=True),
    "exit-b": Measure(ending("B"), of_processes=True),
}
