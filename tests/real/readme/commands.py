"""What runs each command of README.md, and what it must print."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Step:
    """A command. One that stays is ready when it has printed `prints`; another ends well, and has printed it."""

    line: str
    prints: str = ""
    stays: bool = False
    # Whether it is written in a block of the page; else it is in its text, or a preparation.
    written: bool = True
    # The private machine, or the public one.
    private: bool = False


def stays(line, prints, **more):
    return Step(line, prints, stays=True, **more)


PAGE = "hello from the private network"
RUNNING_GATEWAY = stays("make run-gateway", "SOCKS5 proxy started")

# Each scene begins with nothing, and nothing of it goes on afterwards.
SCENES = [
    [
        stays("cargo run --release -- demo", "Ctrl-C ends it"),
    ],
    [
        Step("cargo install --locked --path crates/anyproxy"),
    ],
    [
        stays("anyproxy gateway --advertise gw.example.com:8443", r"anyproxy client --join apj1_\S+"),
        stays("anyproxy client --join apj1_… --forward 8000:localhost:3000", "connected to the gateway", private=True),
        Step("curl http://127.0.0.1:8000/", PAGE),
        Step("anyproxy status", r"(?s)gateway \d+.*client \d+|client \d+.*gateway \d+"),
    ],
    [
        Step("anyproxy certs --name gw.example.com --group demo", r"sha256:\S+"),
        Step("anyproxy check configs/gateway.toml"),
        stays("anyproxy gateway --config configs/gateway.toml", "SOCKS5 proxy started"),
        Step('cp -p certs/demo.secret "$PRIVATE/"', written=False),
        stays(
            "anyproxy client --gateway gw.example.com:8443 --pin sha256:… --group demo --secret-file demo.secret",
            "connected to the gateway",
            private=True,
        ),
        Step('curl -x "http://demo:$(cat certs/demo.secret)@127.0.0.1:8088" http://intranet.local/', PAGE),
        Step(
            'curl --socks5-hostname 127.0.0.1:1080 --proxy-user "demo:$(cat certs/demo.secret)" http://10.0.0.7/',
            PAGE,
        ),
        Step("anyproxy group add team --config configs/gateway.toml --secret-out team.secret"),
        Step('echo "correct horse battery" | anyproxy group passwd team --user alice --config configs/gateway.toml'),
        Step("anyproxy group list --config configs/gateway.toml", r"(?s)demo.*team|team.*demo"),
    ],
    [
        RUNNING_GATEWAY,
        stays("make run-echo", ""),
        stays("make run-client", "connected to the gateway"),
        Step("echo hello | nc -N localhost 8000", "hello"),
    ],
    [
        RUNNING_GATEWAY,
        stays("make run-echo", ""),
        stays("make run-client TRANSPORT=ws", "connected to the gateway .*transport=ws", written=False),
        Step("echo hello | nc -N localhost 8000", "hello"),
    ],
]

COMPOSE = ("tests/compose/demos.sh", "README.md")

# Lines that another test runs, and what that has of them.
ELSEWHERE = {
    "docker compose --profile basic run --rm basic-user": COMPOSE,
    "docker compose --profile quic-lossy run --rm lossy-user": COMPOSE,
    "docker compose --profile ws-firewall run --rm firewall-user": COMPOSE,
    "docker compose --profile basic --profile quic-lossy --profile ws-firewall down --volumes": COMPOSE,
    "cargo test --workspace": (".ci/run", "cargo test --workspace"),
    "tests/compose/run": (".ci/full", "tests/compose/run"),
    "tests/real/matrix.sh": (".ci/full", "tests/real/matrix.sh"),
    "tests/real/faults.sh": (".ci/full", "tests/real/faults.sh"),
    "tests/real/doctor.sh": (".ci/full", "tests/real/doctor.sh"),
    "tests/real/soak.sh --seconds 600": (".ci/full", 'tests/real/soak.sh --seconds "${SOAK_SECONDS:-600}"'),
    "tests/real/readme.sh": (".ci/full", "tests/real/readme.sh"),
}
