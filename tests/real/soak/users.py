"""The users: mixed traffic until they are told to rest. Runs in the users' namespace.

    python3 -m soak.users SEED

Takes `rest`, `go` and `end` on standard input. Prints a line of JSON for each request that is over, and once a second
how many are under way.
"""

import asyncio
import itertools
import json
import logging
import random
import sys
import time

from . import datagrams, plan, streams, web
from .ways import Cut, Failed, Wrong

# A probe is a small request that tells whether a kind of traffic works at this moment.
PROBE_EVERY = 0.5
PROBE_PATIENCE = 10


class Crowd:
    """All users."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numbers = itertools.count()
        self.going = asyncio.Event()
        self.quiet = asyncio.Event()
        self.quiet.set()
        self.ended = False
        self.live = 0

    def key(self):
        return f"{self.random.getrandbits(32):08x}-{next(self.numbers)}"

    def size(self, least, most):
        """Sizes of every order of magnitude alike."""
        return int(least * (most / least) ** self.random.random())

    def sizes(self, count, least, most):
        return [self.size(least, most) for _ in range(count)]

    def way(self):
        return self.random.choice(("connect", "socks", "forward"))

    def work(self, group):
        """Kinds of traffic: name, how many at a time, and what makes a request."""
        body = lambda: self.random.choice(("length", "chunked"))
        return [
            ("GET", 3, lambda: web.get(group, self.key(), self.sizes(3, 1, 1 << 20), body())),
            ("POST", 1, lambda: web.post(group, self.key(), self.size(1, 1 << 20))),
            ("CONNECT", 2, lambda: streams.echo("connect", group, self.key(), self.size(1, 1 << 20))),
            ("SOCKS5", 2, lambda: streams.echo("socks", group, self.key(), self.size(1, 1 << 20))),
            ("forward", 2, lambda: streams.echo("forward", group, self.key(), self.size(1, 1 << 20))),
            ("UDP forward", 1, lambda: datagrams.forward(group, self.key(), self.sizes(20, 16, 8000))),
            ("SOCKS5 UDP", 1, lambda: datagrams.socks(group, self.key(), self.sizes(20, 16, 8000))),
            ("rest", 4, lambda: streams.rest(self.way(), group, self.key(), self.random.randint(2, 8), self.quiet)),
            ("user aborts", 1, lambda: streams.leave(self.way(), group, self.key(), self.size(1000, 1 << 20))),
            ("target aborts", 1, lambda: streams.left(self.way(), group, self.key(), self.size(1000, 1 << 18))),
            ("answer aborts", 1, lambda: web.get_cut(group, self.key(), self.size(1000, 1 << 18), body())),
            ("slow reader", 1, lambda: streams.slow(self.way(), group, self.key(), 1 << 19)),
        ]

    def probes(self, group):
        """The kinds that have to work again after a fault."""
        return [
            ("GET", lambda: web.get(group, self.key(), [100], "length")),
            ("POST", lambda: web.post(group, self.key(), 100)),
            ("CONNECT", lambda: streams.echo("connect", group, self.key(), 100)),
            ("SOCKS5", lambda: streams.echo("socks", group, self.key(), 100)),
            ("forward", lambda: streams.echo("forward", group, self.key(), 100)),
            ("UDP forward", lambda: datagrams.forward(group, self.key(), [100])),
            ("SOCKS5 UDP", lambda: datagrams.socks(group, self.key(), [100])),
        ]

    async def one(self, kind, group, make, patience, probe):
        """Makes a request and tells what came of it."""
        start, moved, why = time.monotonic(), 0, ""
        self.live += 1
        try:
            async with asyncio.timeout(patience):
                moved = await make()
            what = "ok"
        except Failed as error:
            what, why = "failed", str(error)
        except Cut as error:
            what, why = "cut", str(error)
        except Wrong as error:
            what, why = "wrong", str(error)
        except ConnectionRefusedError:
            what, why = "failed", "refused"
        except (ConnectionResetError, BrokenPipeError):
            what, why = "failed", "reset"
        except TimeoutError:
            what, why = "hung", f"over {plan.HUNG_AFTER} s"
            if probe:
                what, why = "failed", f"nothing within {PROBE_PATIENCE} s"
        except OSError as error:
            what, why = "failed", error.strerror or repr(error)
        self.live -= 1
        end = time.monotonic()
        tell(kind=kind, group=group, start=start, end=end, bytes=moved, what=what, why=why, probe=probe)

    async def worker(self, kind, group, make):
        """One user, who makes one request after the other."""
        while not self.ended:
            await self.going.wait()
            # Who rests does so for long, and bounds each wait.
            await self.one(kind, group, make, None if kind == "rest" else plan.HUNG_AFTER, False)
            await asyncio.sleep(self.random.uniform(0.05, 0.3))

    async def prober(self, kind, group, make):
        """Starts a probe every so often, whatever became of the last ones."""
        running = set()
        while not self.ended:
            await self.going.wait()
            task = asyncio.create_task(self.one(kind, group, make, PROBE_PATIENCE, True))
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(PROBE_EVERY)

    async def run(self):
        """Until standard input ends or says so."""
        tasks = []
        for group in plan.GROUPS:
            for kind, count, make in self.work(group):
                tasks += [asyncio.create_task(self.worker(kind, group, make)) for _ in range(count)]
            tasks += [asyncio.create_task(self.prober(kind, group, make)) for kind, make in self.probes(group)]
        tasks.append(asyncio.create_task(self.count()))
        await self.obey()
        self.ended = True
        for task in tasks:
            task.cancel()
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(done, Exception):
                raise done

    async def count(self):
        while True:
            tell(live=self.live)
            await asyncio.sleep(1)

    async def obey(self):
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while (word := (await reader.readline()).decode().strip()) not in ("", "end"):
            if word == "go":
                self.quiet.clear()
                self.going.set()
            else:
                self.going.clear()
                self.quiet.set()


def tell(**event):
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    # It warns of writes to connections that are gone.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(Crowd(int(sys.argv[1])).run())
