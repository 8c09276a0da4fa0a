"""What the figures were measured on, and what went on there meanwhile."""

import os
import platform
import subprocess
import time

from . import programs
from .process import find

# The name that an entry's program tells its version by.
VERSIONS = {"anyproxy": ("--version",), "sing-box": ("version",), "ssh": ("-V",), "nginx": ("-v",), "bore": ("--version",),
            "rathole": ("--version",), "wstunnel": ("--version",), "iperf3": ("--version",)}


def _read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _line(path, name):
    for line in _read(path).splitlines():
        if line.split(":")[0].strip() == name:
            return line.split(":", 1)[1].strip()
    return ""


def _version(name):
    path = programs.anyproxy() if name == "anyproxy" else find(name)
    if not path or not os.access(path, os.X_OK):
        return None
    try:
        done = subprocess.run([path, *VERSIONS[name]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip().splitlines()[0] if done.stdout.strip() else "unknown"


def _commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=programs.ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip()


def facts():
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "processor": _line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "memory": _line("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "hypervisor": "yes" if " hypervisor" in _line("/proc/cpuinfo", "flags") else "not seen",
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not to be seen",
        "tcp_congestion_control": _read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "tcp_allowed_congestion_control": _read("/proc/sys/net/ipv4/tcp_allowed_congestion_control"),
        "udp_buffers": f"rmem_max {_read('/proc/sys/net/core/rmem_max')}, wmem_max {_read('/proc/sys/net/core/wmem_max')}",
        "load_before": _read("/proc/loadavg"),
        "commit": _commit(),
        "versions": {name: version for name in VERSIONS if (version := _version(name))},
    }


class Clock:
    """What the processors did since it was made: the part that the hypervisor took, and the part that was idle."""

    def __init__(self):
        self._start = self._now()

    @staticmethod
    def _now():
        return [int(field) for field in _read("/proc/stat").splitlines()[0].split()[1:9]]

    def parts(self):
        spent = [after - before for before, after in zip(self._start, self._now())]
        total = sum(spent) or 1
        return {"steal_pct": round(100 * spent[7] / total, 1), "idle_pct": round(100 * (spent[3] + spent[4]) / total, 1)}
