"""The set-ups: what is broken, and what doctor has to say of it."""

import time
from dataclasses import dataclass, field

from faults.net import CLIENT, FAR_ROUTER_IP, GATEWAY, GATEWAY_IP, ROUTER, UDP, need
from matrix.check import until

from .clinic import FORWARDED, HTTP, TUNNELS

SETUPS = []


@dataclass
class Wanted:
    """What a report must have."""

    check: str
    status: str
    # Parts of the value and of what repairs it.
    value: list = field(default_factory=list)
    fix: list = field(default_factory=list)
    # Whether anything else may have failed.
    alone: bool = True


@dataclass
class Setup:
    name: str
    about: str
    play: object
    # It changes something of the whole machine.
    machine: bool = False


def setup(about, **more):
    def add(play):
        SETUPS.append(Setup(play.__name__.replace("_", "-"), about, play, **more))
        return play

    return add


def blocked(clinic, status, *words, says="UDP is blocked"):
    fix = [f"nft add rule inet filter input udp dport {TUNNELS} accept", 'transport = "ws"']
    return clinic.of_client(*words), Wanted("udp", status, [says], fix)


@setup("nothing is wrong")
def nothing(clinic):
    clinic.start_gateway()
    return clinic.of_client(), Wanted("login", "ok", ['the secret of group "demo"'])


@setup("a firewall drops UDP, `transport` is auto")
def udp_dropped(clinic):
    clinic.start_gateway()
    clinic.net.fault(f"{UDP} drop")
    return blocked(clinic, "warn")


@setup("a firewall drops UDP, `transport` is quic")
def udp_dropped_quic(clinic):
    clinic.start_gateway()
    clinic.net.fault(f"{UDP} drop")
    return blocked(clinic, "fail", "--transport", "quic")


@setup("a firewall rejects UDP (ICMP: prohibited)")
def udp_prohibited(clinic):
    clinic.start_gateway()
    clinic.net.fault(f"{UDP} reject with icmp type admin-prohibited")
    return blocked(clinic, "fail", "--transport", "quic", says="UDP is rejected: No route to host")


@setup("a firewall rejects UDP (ICMP: no such port)")
def udp_rejected(clinic):
    clinic.start_gateway()
    clinic.net.fault(f"{UDP} reject with icmp type port-unreachable")
    return blocked(clinic, "warn", says="UDP is rejected: Connection refused")


def shrink(clinic, mtu, place, device):
    clinic.net.within(place, "ip", "link", "set", "dev", device, "mtu", mtu)


SMALL = ["mtu 1500"]


@setup("the client's own link has MTU 1200")
def mtu_1200_own_link(clinic):
    clinic.start_gateway()
    shrink(clinic, 1200, CLIENT, "net")
    return clinic.of_client(), Wanted("mtu", "warn", ["1200 bytes", "QUIC needs 1228"], SMALL)


@setup("a link on the way has MTU 1200")
def mtu_1200_on_the_way(clinic):
    clinic.start_gateway()
    shrink(clinic, 1200, ROUTER, "far")
    return clinic.of_client("--transport", "quic"), Wanted("mtu", "fail", ["1200 bytes", "QUIC needs 1228"], SMALL)


@setup("a link on the way has MTU 1228, the least for QUIC")
def mtu_1228_on_the_way(clinic):
    clinic.start_gateway()
    shrink(clinic, 1228, ROUTER, "far")
    return clinic.of_client(), Wanted("mtu", "warn", ["1200 bytes of QUIC in a packet"], SMALL)


@setup("a proxy wants a log-in, and has none from us")
def proxy_without_user(clinic):
    start_proxy(clinic)
    report = clinic.of_client("--transport", "ws", "--proxy", f"http://{FAR_ROUTER_IP}:3128")
    return report, Wanted("proxy", "fail", ["407", "wants a user"], ["proxy_password_file"])


@setup("a proxy wants a log-in; it is in HTTPS_PROXY, and wrong")
def proxy_wrong_password(clinic):
    start_proxy(clinic)
    env = {"HTTPS_PROXY": f"http://ann:wrong@{FAR_ROUTER_IP}:3128"}
    report = clinic.of_client("--transport", "ws", env=env)
    return report, Wanted("proxy", "fail", ["does not accept"], ["proxy_password_file"])


def start_proxy(clinic):
    clinic.start_gateway()
    config = clinic.dir / "tinyproxy.conf"
    config.write_text(f"Port 3128\nListen {FAR_ROUTER_IP}\nBasicAuth ann right\nTimeout 60\nLogLevel Info\n")
    clinic.start("proxy", ROUTER, ["tinyproxy", "-d", "-c", config], 3128)


@setup("the policy denies a forward's target")
def target_denied(clinic):
    clinic.start_gateway()
    clinic.start("target", CLIENT, ["busybox", "httpd", "-f", "-p", "127.0.0.1:9000", "-h", clinic.certs], 9000)
    report = clinic.of_client("--forward", f"{FORWARDED}:127.0.0.1:9000", "--deny", "127.0.0.0/8")
    return report, Wanted("target", "fail", ["127.0.0.1:9000", "denied by policy"], ["`deny`"])


@setup("nobody is at a forward's target")
def target_refuses(clinic):
    clinic.start_gateway()
    report = clinic.of_client("--forward", f"{FORWARDED}:127.0.0.1:9000")
    return report, Wanted("target", "fail", ["127.0.0.1:9000", "refused"], ["start the service"])


@setup("another program has the gateway's TCP port")
def port_taken_tcp(clinic):
    words = ["busybox", "httpd", "-f", "-p", f"127.0.0.1:{HTTP}", "-h", clinic.certs]
    pid = clinic.start("holder", GATEWAY, words, HTTP)
    value = [f"http 127.0.0.1:{HTTP}/tcp is taken by busybox (process {pid})"]
    return clinic.of_gateway(), Wanted("port", "fail", value, [f"kill {pid}"])


@setup("another program has the gateway's UDP port")
def port_taken_udp(clinic):
    hold = f"import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('', {TUNNELS})); time.sleep(600)"
    pid = clinic.start("holder", GATEWAY, ["python3", "-c", hold], TUNNELS)
    value = [f"listen 0.0.0.0:{TUNNELS}/udp is taken by python3 (process {pid})"]
    return clinic.of_gateway(), Wanted("port", "fail", value, [f"kill {pid}"])


@setup("the gateway's certificate has expired while it ran")
def certificate_expired(clinic):
    end = expires_in(clinic, seconds=6)
    clinic.start_gateway()
    until("the certificate expires", lambda: time.time() > end + 1)
    return clinic.of_client(), Wanted("tls", "fail", ["expired on"], ["renew it on the gateway: anyproxy certs"])


@setup("the gateway's certificate has expired, asked there")
def certificate_expired_gateway(clinic):
    expires_in(clinic, seconds=-60)
    return clinic.of_gateway(), Wanted("settings", "fail", ["gateway.crt", "expired"], ["anyproxy certs"])


def expires_in(clinic, seconds):
    """Another certificate of the same CA, which is soon over; the moment when it is."""
    of, made = clinic.certs, clinic.dir
    (made / "index").touch()
    (made / "ca.cnf").write_text(
        f"[ca]\ndefault_ca = it\n[it]\ndatabase = {made}/index\nnew_certs_dir = {made}\nrand_serial = yes\n"
        f"default_md = sha256\npolicy = any\nx509_extensions = names\n[any]\ncommonName = supplied\n"
        f"[names]\nsubjectAltName = IP:{GATEWAY_IP}\nbasicConstraints = CA:FALSE\n"
    )
    need("openssl", "req", "-new", "-key", of / "gateway.key", "-subj", "/CN=gateway", "-out", made / "gateway.csr")
    end = int(time.time()) + seconds
    moment = time.strftime("%y%m%d%H%M%SZ", time.gmtime(end))
    chain = of / "gateway.crt"
    need(
        *("openssl", "ca", "-batch", "-notext", "-config", made / "ca.cnf", "-cert", of / "ca.crt", "-keyfile", of / "ca.key"),
        *("-in", made / "gateway.csr", "-startdate", "200101000000Z", "-enddate", moment, "-out", chain),
    )
    chain.write_text(chain.read_text() + (of / "ca.crt").read_text())
    return end


@setup("the client's clock is a year ahead")
def clock_ahead(clinic):
    return clock(clinic, "+365 days", "it is 365 days ahead of the gateway's")


@setup("the client's clock is a year behind")
def clock_behind(clinic):
    return clock(clinic, "-365 days", "it is 365 days behind the gateway's")


def clock(clinic, offset, words):
    clinic.start_gateway()
    report = clinic.of_client(before=["faketime", "-f", offset.replace(" days", "d")], env={"FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    return report, Wanted("clock", "fail", [words], ["timedatectl set-ntp true"], alone=False)


@setup("the pin is another's")
def wrong_pin(clinic):
    clinic.start_gateway()
    pin = "sha256:" + "0a" * 32
    report = clinic.of_client(trust=["--pin", pin])
    return report, Wanted("tls", "fail", ["wrong pin", pin], [f'pin = "{clinic.pin()}"'])


@setup("the secret is another's")
def wrong_secret(clinic):
    return secret(clinic)


@setup("the password is another's, over the WebSocket")
def wrong_password(clinic):
    return secret(clinic, "--method", "password", "--transport", "ws")


def secret(clinic, *words):
    clinic.start_gateway()
    other = clinic.dir / "other.secret"
    other.touch(mode=0o600)
    other.write_text("another secret of 128 bits and more")
    report = clinic.of_client(*words, secret=other)
    return report, Wanted("login", "fail", ['"demo" with this secret'], ["anyproxy group secret demo"])


@setup("no gateway is there")
def no_gateway(clinic):
    return clinic.of_client(), Wanted("tcp", "warn", ["refuses: nobody listens there"], ["start the gateway"], alone=False)


@setup("net.core.rmem_max is 208 KiB", machine=True)
def small_buffers(clinic):
    before = need("sysctl", "-n", "net.core.rmem_max").strip()
    clinic.start_gateway()
    need("sysctl", "-qw", "net.core.rmem_max=212992")
    try:
        report = clinic.of_client()
    finally:
        need("sysctl", "-qw", f"net.core.rmem_max={before}")
    fix = ["sudo sysctl -w net.core.rmem_max=7340032 net.core.wmem_max=7340032"]
    return report, Wanted("udp_buffers", "warn", ["receive 208 KiB", "wanted 7168 KiB"], fix)
