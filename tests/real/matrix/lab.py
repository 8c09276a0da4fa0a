"""A gateway and its clients: from a `Setup` to running programs, with ports that the system chose."""

import secrets
import socket
from contextlib import ExitStack

from .check import fail, same
from .program import AnyProxy

GROUP = "demo"
# A name that only the client's hosts file has, and one that nobody has.
CLIENT_ONLY = "only-at-client.test"
NOBODY = "nobody.test"
# The client's policy denies this address of the loopback network.
DENIED = "127.0.0.9"

# The client gets hosts and name service of its own, so that the gateway cannot know its names.
OWN_NAMES = (
    'mount --bind "$1/hosts" /etc/hosts && mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && '
    'shift && exec "$@"'
)


class Lab:
    """What a case gets."""

    def __init__(self, bench, transport, setup):
        self.bench = bench
        self.targets = bench.targets
        self.transport = transport
        self.setup = setup
        self.dir = bench.dir / f"{transport}-{setup.name}"
        self.dir.mkdir()
        self.ca = bench.certs / "ca.crt"
        self.stack = ExitStack()
        self.password = secrets.token_urlsafe(24)
        self.users = {name: secrets.token_urlsafe(24) for name in setup.users}
        self.shared_port = free_port() if setup.one_port else 0
        self.ports = {}
        self.forwards = {}
        self.clients = {}

    def start(self):
        """Starts the gateway, then the clients, and waits until all that was asked for is there."""
        try:
            self.gateway = self.program("gateway", self.gateway_file())
            self.tunnels = self.address_of("tunnels")
            self.ports = {proxy: self.address_of(proxy) for proxy in self.setup.proxies}
            for name in self.setup.clients:
                self.start_client(name)
        except BaseException:
            self.stack.close()
            raise
        return self

    def start_client(self, name, group=GROUP, secret=None):
        """Starts one client; it is ready when its session is up and its forwards are bound."""
        client = self.program(f"client-{name}", self.client_file(name, group, secret), role="client")
        self.clients[name] = client
        client.wait_record(
            "the session is up", lambda record: record["message"] == "connected to the gateway"
        )
        for forward in self.setup.forwards:
            bound = client.wait_record(
                f"the forward {forward.name} is open",
                lambda record, name=forward.name: record.get("bound")
                if record.get("name") == name
                else None,
            )
            self.forwards[forward.name] = port_of(bound)
        return client

    def restart_gateway(self):
        """Ends the gateway and starts another one from the same files, on other ports."""
        same("the gateway's exit code", self.gateway.end(), 0)
        for client in self.clients.values():
            client.kill()
        self.clients = {}
        self.gateway = self.program("gateway-2", self.dir / "gateway.toml")
        self.tunnels = self.address_of("tunnels")
        self.ports = {proxy: self.address_of(proxy) for proxy in self.setup.proxies}

    def program(self, name, file, role="gateway"):
        command = [self.bench.anyproxy, role, "--config", file, "--log-format", "json"]
        if role == "client":
            command = ["unshare", "--mount", "sh", "-c", OWN_NAMES, "sh", self.bench.names, *command]
        program = AnyProxy(name, command, self.dir)
        self.stack.callback(program.kill)
        return program

    def address_of(self, key):
        """The port that the gateway logs for one of its listeners."""
        address = self.gateway.wait_record(f"its address {key} is known", lambda record: record.get(key))
        return port_of(address)

    def stop(self):
        """Ends the programs as a service manager does; each must end well."""
        try:
            for program in [*self.clients.values(), self.gateway]:
                if program.process.returncode is None:
                    same(f"{program.name}'s exit code", program.end(), 0)
                if complaints := program.complaints():
                    fail(f"{program.name} logged errors: {complaints}")
                # All users have gone, so nothing may be left to wait for.
                if "were cut" in program.text():
                    fail(f"{program.name} still had connections: {program.last_words()[-300:]}")
                if "panicked" in program.text():
                    fail(f"{program.name} panicked")
        finally:
            self.stack.close()

    def url(self, scheme, ingress, user=GROUP, password=None, host="127.0.0.1"):
        """An ingress as a proxy URL with credentials."""
        if password is None:
            password = self.users.get(user, self.password)
        return f"{scheme}://{user}:{password}@{host}:{self.ports[ingress]}"

    def secret_file(self, name, text):
        path = self.dir / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return path

    def gateway_file(self):
        certs = self.bench.certs
        lines = [
            'listen = "127.0.0.1:0"',
            f'certificate = "{certs / "gateway.crt"}"',
            f'key = "{certs / "gateway.key"}"',
            *(f'{key} = "127.0.0.1:0"' for key in self.setup.proxies),
            *(f'{key} = "off"' for key in ("http", "socks5") if key not in self.setup.proxies),
            *self.setup.gateway,
            "[[group]]",
            f'name = "{GROUP}"',
            f'secret_file = "{certs / "demo.secret"}"',
            f'forwards = ["{self.shared_port}"]',
        ]
        if not self.users:
            lines.append(f'password_file = "{self.secret_file("demo.password", self.password)}"')
        for name, password in self.users.items():
            file = self.secret_file(f"{name}.password", password)
            lines += ["[[group.user]]", f'name = "{name}"', f'password_file = "{file}"']
        return self.write("gateway.toml", lines)

    def client_file(self, name, group, secret):
        lines = [
            f'gateway = "localhost:{self.tunnels}"',
            f'ca = "{self.ca}"',
            f'transport = "{self.transport}"',
            f'group = "{group}"',
            f'client_id = "{name}"',
            f'secret_file = "{secret or self.bench.certs / "demo.secret"}"',
        ]
        if self.setup.replicas:
            lines.append(f"replicas = {self.setup.replicas}")
        lines += ["[policy]", f'deny = ["{DENIED}"]']
        for forward in self.setup.forwards:
            lines += [
                "[[forward]]",
                f'name = "{forward.name}"',
                f'listen = "127.0.0.1:{self.shared_port}"',
                f'target = "{self.targets.address(forward.target, name)}"',
            ]
            if forward.protocol != "tcp":
                lines.append(f'protocol = "{forward.protocol}"')
            if forward.proxy_protocol:
                lines.append(f'proxy_protocol = "{forward.proxy_protocol}"')
        return self.write(f"client-{name}.toml", lines)

    def write(self, name, lines):
        path = self.dir / name
        path.write_text("\n".join(lines) + "\n")
        return path


def port_of(address):
    return int(address.rsplit(":", 1)[1])


def free_port():
    """A port number that is free for TCP and UDP now."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return tcp.getsockname()[1]
