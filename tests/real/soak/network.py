"""The namespaces and links of one run, and what is done to their packets."""

import os
import subprocess

from .plan import GATEWAY_FOR, PEER, TUNNEL


def run(*words, check=True, text=None):
    """A command of the system; gives what it printed."""
    done = subprocess.run(words, check=False, capture_output=True, text=True, input=text, timeout=20)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """Namespaces named after this process, so that runs beside each other do not meet."""

    def __init__(self):
        self.names = {place: f"soak{os.getpid()}{place}" for place in ("gateway", *PEER)}

    def __enter__(self):
        try:
            for name in self.names.values():
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
            for place in PEER:
                self._link(place)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names.values():
            run("ip", "netns", "del", name, check=False)

    def _link(self, place):
        near, far = self.names["gateway"], self.names[place]
        run("ip", "-n", near, "link", "add", place, "type", "veth", "peer", "name", "gw", "netns", far)
        for name, link, address in ((near, place, GATEWAY_FOR[place]), (far, "gw", PEER[place])):
            run("ip", "-n", name, "addr", "add", f"{address}/30", "dev", link)
            run("ip", "-n", name, "link", "set", link, "up")

    def inside(self, place):
        """The words in front of a command that is to run there."""
        return ["ip", "netns", "exec", self.names[place]]

    def filter(self, place, rule):
        """Puts a rule on all packets of a client's link, where they arrive: whoever sent them is told nothing."""
        self.clear(place)
        for name, link in ((self.names["gateway"], place), (self.names[place], "gw")):
            head = f'type filter hook input priority 0; iifname != "{link}" accept;'
            table = f"table ip soak_{link} {{\nchain arriving {{ {head} {rule}\n}}\n}}\n"
            run("ip", "netns", "exec", name, "nft", "-f", "-", text=table)

    def clear(self, place):
        """Lets everything pass again."""
        for name, link in ((self.names["gateway"], place), (self.names[place], "gw")):
            run("ip", "netns", "exec", name, "nft", "delete", "table", "ip", f"soak_{link}", check=False)

    def reset(self, place):
        """Resets the TCP connections of a client's tunnel; gives how many there were."""
        aim = ("-K", "-H", "-t", "-n", "dst", GATEWAY_FOR[place], "dport", "=", str(TUNNEL))
        return len(run(*self.inside(place), "ss", *aim).splitlines())
