"""Processes in namespaces: what they cost, and their end."""

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
DESCRIPTORS = 65536
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def command(*argv, check=True):
    """Runs a short command and returns what it printed."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          text=True, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stdout.strip()}")
    return done.stdout


def find(name):
    """The path of a program: from BENCH_PEERS first, where bench/install-peers puts them."""
    if os.sep in name:
        return name if os.access(name, os.X_OK) else None
    places = [os.environ.get("BENCH_PEERS", ""), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
    return shutil.which(name, path=os.pathsep.join(place for place in places if place))


def _stat(pid):
    """The fields of /proc/PID/stat from the third on; the second may hold anything."""
    with open(f"/proc/{pid}/stat") as file:
        text = file.read()
    return text[text.rindex(")") + 2:].split()


def _born(pid):
    """When a process began, in ticks since the machine did: with its number, which process it is."""
    try:
        return int(_stat(pid)[19])
    except (OSError, ValueError, IndexError):
        return None


def family(pid):
    """A process and all that descend from it, since some peers have a process for each session."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            children.setdefault(int(_stat(name)[1]), []).append(int(name))
        except (OSError, ValueError, IndexError):
            pass
    members, waiting = [], [pid]
    while waiting:
        members.append(waiting.pop())
        waiting += children.get(members[-1], [])
    return members


def _prepare():
    """Runs in the new process. It ends with us, even when we are killed; and it may open many files."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= DESCRIPTORS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Process:
    def __init__(self, namespace, argv, log, env=None, stdin=subprocess.DEVNULL, stdout=None):
        self.log = log
        self.namespace = namespace
        with open(log, "ab") as file:
            # Its own session: a key pressed at the terminal ends bench/run, which then ends the others.
            self.handle = subprocess.Popen(
                ["ip", "netns", "exec", namespace, *argv], stdin=stdin, stdout=stdout or file, stderr=file,
                env={**os.environ, **(env or {})}, preexec_fn=_prepare, start_new_session=True)
        self.pid = self.handle.pid

    def alive(self):
        return self.handle.poll() is None

    def cpu_seconds(self):
        """User and system time of the family, with those members that it has seen end."""
        ticks = 0
        for pid in family(self.pid):
            try:
                ticks += sum(int(field) for field in _stat(pid)[11:15])
            except (OSError, ValueError):
                pass
        return ticks / TICKS

    def busy_seconds(self):
        """What the scheduler counted for its threads, to the nanosecond; without threads and members that have ended."""
        nanoseconds = 0
        for pid in family(self.pid):
            try:
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                        nanoseconds += int(file.read().split()[0])
            except (OSError, ValueError, IndexError):
                pass
        return nanoseconds / 1e9

    def memory_kib(self, part="Pss"):
        """Proportional set size: a page that several share counts once. `Pss_Anon` leaves files out, the program's too."""
        total = 0
        for pid in family(self.pid):
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    found = re.search(rf"^{part}:\s+(\d+)", file.read(), re.MULTILINE)
                total += int(found.group(1)) if found else 0
            except OSError:
                pass
        return total

    def stop(self, patience=5.0):
        """Asks it to end. Returns the seconds until it and its family had; None if they were killed."""
        if not self.alive():
            return 0.0
        members = self._members()
        start = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        while (left := self._left(members)) and time.monotonic() - start < patience:
            time.sleep(0.001)
        took = time.monotonic() - start
        self._kill(members)
        return None if left else took

    def kill(self):
        if self.alive():
            self._kill(self._members())

    def _members(self):
        return {pid: _born(pid) for pid in family(self.pid)}

    def _left(self, members):
        """Those that are still the processes they were. One that has ended stays until it is waited for."""
        return [pid for pid, born in members.items()
                if (self.alive() if pid == self.pid else born is not None and _born(pid) == born)]

    def _kill(self, members):
        """Ends those of its family that are left, and nobody who has got the number of one since."""
        for pid, born in members.items():
            try:
                if born is not None and _born(pid) == born:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.handle.wait(10)

    def said(self, length=300):
        """The end of its log, for an error."""
        try:
            with open(self.log, errors="replace") as file:
                return " ".join(file.read()[-length:].split())
        except OSError:
            return ""
