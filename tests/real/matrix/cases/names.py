"""dig: through a forwarded UDP port, and through SOCKS5 UDP ASSOCIATE by a small relay, since dig knows
no proxies. PySocks asks by itself."""

import secrets
import socket
import struct
import threading

import socks

from ..check import PATIENCE, same, within, without
from ..lab import CLIENT_ONLY, DENIED, GROUP
from ..program import run
from ..registry import case
from ..setups import BASE, DNS, MIXED
from ..targets.dns import ADDRESS, LONG_LENGTH, SHORT
from .socks_udp import Relay, associate, datagram


def dig(port, *words):
    """dig's answer, all of it as text."""
    command = ["dig", "@127.0.0.1", "-p", port, "+tries=1", f"+time={PATIENCE // 3}", *words]
    code, out, err = run(command)
    same(f"dig {' '.join(words)}: {(out.decode() + err).strip()[-300:]}", code, 0)
    return out.decode()


def ask(port):
    """Queries of all sizes; several in one run reuse dig's socket or not, as it likes."""
    same("A", dig(port, "+short", "host.test", "A").strip(), ADDRESS)
    same("TXT", dig(port, "+short", "short.test", "TXT").strip(), f'"{SHORT.decode()}"')
    within("NXDOMAIN", dig(port, "nothing.test", "A"), "status: NXDOMAIN")
    long = dig(port, "+short", "+ignore", "+bufsize=4096", "long.test", "TXT")
    same("length of the long answer", long.count("x"), LONG_LENGTH)
    many = [word for _ in range(20) for word in ("host.test", "A")]
    same("twenty answers", dig(port, "+short", *many).split(), 20 * [ADDRESS])


@case("dig-forward", setup=DNS)
def forward(lab):
    target = lab.targets.get("dns")
    before = len(target.seen)
    ask(lab.forwards["dns-udp"])
    same("transport", set(target.seen[before:]), {"udp"})


@case("dig-forward-truncated", setup=DNS)
def truncated(lab):
    """Too long for classic UDP: dig asks again over TCP, on the same port number."""
    target = lab.targets.get("dns")
    before = len(target.seen)
    answer = dig(lab.forwards["dns-udp"], "+short", "+bufsize=512", "long.test", "TXT")
    same("length of the long answer", answer.count("x"), LONG_LENGTH)
    same("transports", target.seen[before:], ["udp", "tcp"])


@case("dig-forward-many", setup=DNS)
def many(lab):
    """Many peers at once, each with its own questions."""
    failures = []

    def one():
        try:
            for _ in range(5):
                same("A", dig(lab.forwards["dns-udp"], "+short", "host.test", "A").strip(), ADDRESS)
        except Exception as error:  # noqa: BLE001 - reported by the case
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same("failures", failures, [])


def through_associate(lab, ingress):
    """dig, once to the target's address and once to a name that only the client knows."""
    target = lab.targets.get("dns")
    for host in ("127.0.0.1", CLIENT_ONLY):
        with Relay(("127.0.0.1", lab.ports[ingress]), GROUP, lab.password, host, target.port) as relay:
            ask(relay.port)


@case("dig-associate", setup=BASE)
def dig_associate(lab):
    through_associate(lab, "socks5")


@case("dig-associate-mixed", setup=MIXED)
def dig_associate_mixed(lab):
    through_associate(lab, "mixed")


@case("pysocks-udp", setup=BASE)
def pysocks(lab):
    """PySocks' datagram socket."""
    with socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.set_proxy(socks.SOCKS5, "127.0.0.1", lab.ports["socks5"], True, GROUP, lab.password)
        sock.settimeout(PATIENCE)
        sock.bind(("127.0.0.1", 0))
        for _ in range(5):
            number = secrets.token_bytes(2)
            sock.sendto(query(number), ("127.0.0.1", lab.targets.get("dns").port))
            answer, source = sock.recvfrom(65_535)
            same("number", answer[:2], number)
            within("address", answer, socket.inet_aton(ADDRESS))
            same("source", source, ("127.0.0.1", lab.targets.get("dns").port))


def query(number):
    """host.test A."""
    return number + struct.pack("!5H", 0x0100, 1, 0, 0, 0) + b"\x04host\x04test\0" + struct.pack("!HH", 1, 1)


@case("associate-policy", setup=BASE)
def policy(lab):
    """A denied target gets nothing, and the association goes on."""
    port = lab.targets.get("dns").port
    address = ("127.0.0.1", lab.ports["socks5"])
    with Relay(address, GROUP, lab.password, "127.0.0.1", port) as relay:
        relay.user.sendto(datagram(DENIED, port, query(b"no")), relay.relay)
        relay.user.sendto(datagram("127.0.0.1", port, b"\0", fragment=1), relay.relay)
        same("A", dig(relay.port, "+short", "host.test", "A").strip(), ADDRESS)


@case("associate-ends", setup=BASE)
def ends(lab):
    """The association ends with its TCP connection (RFC 1928 section 7)."""
    control, relay = associate(("127.0.0.1", lab.ports["socks5"]), GROUP, lab.password)
    with socket.socket(type=socket.SOCK_DGRAM) as user:
        user.settimeout(PATIENCE)
        message = datagram("127.0.0.1", lab.targets.get("dns").port, query(b"ab"))
        user.sendto(message, relay)
        within("answer", user.recv(65_535), socket.inet_aton(ADDRESS))
        control.close()
        until_refused(user, relay, message)


def until_refused(user, relay, message):
    """The port closes: datagrams to it are refused by the system, and no answer comes."""
    from ..check import until

    user.connect(relay)
    user.settimeout(0.2)

    def refused():
        try:
            user.send(message)
            user.recv(65_535)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            pass
        return False

    until("the association's port closes", refused)


@case("associate-wrong-password", setup=BASE)
def wrong_password(lab):
    try:
        associate(("127.0.0.1", lab.ports["socks5"]), GROUP, "wrong")
        same("association", "granted", "refused")
    except ConnectionError as error:
        without("refusal", str(error), "reply")
