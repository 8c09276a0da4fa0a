"""Programs that are killed, frozen, short of descriptors, or get another certificate."""

import signal
import time

from matrix.program import run

from ..check import at_most, fail, same, until
from ..lab import FORWARDED, HTTP, TUNNELS, UP
from ..net import CLIENT, GATEWAY, GATEWAY_IP
from ..registry import EACH, Seen, row
from ..user import all_good, seen, whole

MIB = 1 << 20
# An idle QUIC client asks for a sign of life after 10 s of silence at the latest, and then learns that the gateway
# is another one; the WebSocket is told at once. Half a second of pause, and what a busy machine costs.
RESTARTED_MS = {"quic": 12_000, "ws": 3_000, "auto": 5_000}
# What starting and connecting costs on a busy machine.
AT_ONCE_MS = 3_000
# "In seconds".
AWAKE_MS = 5_000


@row("gateway-killed", "the gateway is killed (`kill -9`) and started again")
def gateway_killed(lab):
    came = lab.visitors()
    time.sleep(1)
    lab.gateway.kill()
    time.sleep(1)
    began = time.monotonic()
    lab.start_gateway()
    took = came.recovered(began, 40)
    time.sleep(1)
    visits = came.leave()
    at_most("service", took, RESTARTED_MS[lab.transport])
    return Seen(seen(visits), took)


@row("client-killed", "the client is killed (`kill -9`) and started again; its port")
def client_killed(lab):
    came = lab.visitors(lambda: lab.forwarded("/hello"))
    time.sleep(1)
    lab.client.kill()
    time.sleep(1)
    began = time.monotonic()
    lab.start_client()
    took = came.recovered(began, 40)
    time.sleep(1)
    visits = came.leave()
    at_most("service", took, AT_ONCE_MS)
    return Seen(seen(visits), took)


@row("client-frozen", "the client is frozen (SIGSTOP) for 60 s")
def client_frozen(lab):
    came = lab.visitors()
    time.sleep(1)
    lab.stop(lab.client)
    time.sleep(60)
    lab.resume(lab.client)
    took = came.recovered(time.monotonic(), 40)
    time.sleep(1)
    visits = came.leave()
    at_most("service", took, AWAKE_MS)
    return Seen(seen(visits), took)


@row("gateway-frozen", "the gateway is frozen for 10 s")
def gateway_frozen(lab):
    download = lab.slow(4 * MIB, 6)
    came = lab.visitors()
    time.sleep(2)
    lab.stop(lab.gateway)
    time.sleep(10)
    lab.resume(lab.gateway)
    took = came.recovered(time.monotonic(), 40)
    visits = came.leave()
    whole("the download", download.visit(), lab.bench.digest(4 * MIB))
    at_most("service", took, AWAKE_MS)
    return Seen(f"{seen(visits)}; a download over it whole", took)


# It is logged once, for each listener that it hits.
LINES = 4
# Connects as often as it is told and holds that until it is killed.
HOLD = """
import socket, sys, time
held = []
for _ in range(int(sys.argv[2])):
    one = socket.socket(); one.setblocking(False); one.connect_ex(("127.0.0.1", int(sys.argv[1]))); held.append(one)
print("listening", flush=True)
time.sleep(600)
"""


def limit(lab, program, spare):
    """The running program may have no more descriptors than now and a few."""
    pid = lab.pid(program)
    code, held, _ = run(["ls", f"/proc/{pid}/fd"])
    most = len(held.split()) + spare
    code, _, err = run(["prlimit", "--pid", pid, f"--nofile={most}:{most}"])
    same(f"prlimit {err}", code, 0)


def exhausted(lab, program, holders, what):
    """Holders take all descriptors while a download runs; afterwards everything is as before."""
    limit(lab, program, 12)
    download = lab.slow(4 * MIB, 8)
    time.sleep(1)
    holder = holders()
    came = lab.visitors()
    time.sleep(5)
    whole("the download meanwhile", download.visit(), lab.bench.digest(4 * MIB))
    holder.kill()
    took = came.recovered(time.monotonic(), 30)
    at_most("service", took, AT_ONCE_MS)
    visits = came.leave()
    lines = [record for record in program.records() if record["level"] in ("WARN", "ERROR")]
    if len(lines) > LINES:
        fail(f"{len(lines)} lines of log: {lines[-1]}")
    return Seen(f"{what}: {seen(visits)}; a download meanwhile whole; lines of log: {len(lines)}", took)


@row("descriptors-gateway", "the gateway runs out of descriptors", over=("quic", "ws"))
def descriptors_of_the_gateway(lab):
    def holders():
        return lab.python("holder", GATEWAY, ["python3", "-c", HOLD, HTTP, 200])

    return exhausted(lab, lab.gateway, holders, "200 silent users")


@row("descriptors-client", "the client runs out of descriptors", over=("quic", "ws"))
def descriptors_of_the_client(lab):
    def holders():
        return lab.python("holder", GATEWAY, ["python3", "-c", HOLD, FORWARDED, 100])

    return exhausted(lab, lab.client, holders, "100 silent users of a port")


def shown(lab):
    """The certificate that the gateway shows."""
    words = ["openssl", "s_client", "-connect", f"{GATEWAY_IP}:{TUNNELS}", "-tls1_3"]
    _, out, _ = run([*lab.net.inside(CLIENT), *words], stdin=b"")
    return out.partition(b"-----BEGIN CERTIFICATE-----")[2].partition(b"-----END")[0]


@row("certificate", "the gateway gets a certificate of another CA, and SIGHUP", over=EACH)
def certificate(lab):
    old = shown(lab)
    download = lab.slow(4 * MIB, 8)
    came = lab.visitors()
    time.sleep(1)
    other = lab.bench.certificates(f"certs-{lab.net.id}")
    lab.use_certificates(other)
    began = time.monotonic()
    lab.send(lab.gateway, signal.SIGHUP)
    until("another certificate is shown", lambda: shown(lab) not in (b"", old), 10)
    took = round((time.monotonic() - began) * 1000)
    newcomer = lab.start_client(ca=other / "ca.crt", client_id="newcomer", forward=False)
    newcomer.wait_record("it is connected", lambda record: record["message"] == UP)
    same("the newcomer's exit code", newcomer.end(), 0)
    whole("the download", download.visit(), lab.bench.digest(4 * MIB))
    visits = came.leave()
    all_good("users", visits)
    same("sessions of the old client", lab.sessions(), 1)
    newcomers = f"new after {took} ms, a client that trusts only its CA connects"
    return Seen(f"{seen(visits)}; a download over it whole; {newcomers}")
