"""OpenSSH's remote forwarding, with keys of its own."""

import os

from ..pair import SERVICE, TUNNEL, VISITORS
from ..process import command, find
from . import Entry


def _start(pair):
    # Where its privilege separation expects an empty directory.
    os.makedirs("/run/sshd", exist_ok=True)
    paths = {}
    for owner in ("host", "visitor"):
        paths[owner] = os.path.join(pair.directory, f"{owner}-key")
        command(find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", paths[owner])
    server = pair.write("sshd_config", f"""
ListenAddress {pair.a_address}:{TUNNEL}
HostKey {paths["host"]}
AuthorizedKeysFile {paths["visitor"]}.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding remote
PidFile none
LogLevel ERROR
""")
    pair.spawn("A", "sshd", "-D", "-e", "-f", server)
    pair.await_port("A", TUNNEL)
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes",
               "ExitOnForwardFailure=yes", "LogLevel=ERROR")
    pair.spawn("B", "ssh", "-F", "none", "-N", "-T", "-i", paths["visitor"], "-p", str(TUNNEL),
               *(word for option in options for word in ("-o", option)),
               "-R", f"127.0.0.1:{VISITORS}:127.0.0.1:{SERVICE}", f"root@{pair.a_address}")


ENTRIES = [Entry("ssh", "OpenSSH -R, all visitors in one connection", _start, ("ssh", "sshd", "ssh-keygen"), "tls",
                 multiplexed=True)]
