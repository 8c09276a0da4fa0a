"""The columns of the tables: what each is called, how it is written, and which way is better."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    key: str
    title: str
    # "more", "less", or "" where neither is better.
    better: str = "less"
    digits: int = 0
    # Written as yes or no.
    yes: bool = False
    # Whether it is compared with peers.
    compared: bool = True


@dataclass(frozen=True)
class Table:
    title: str
    note: str
    columns: tuple


def _loopback():
    ways = (("down_1", "down, 1"), ("up_1", "up, 1"), ("down_8", "down, 8"), ("up_8", "up, 8"))
    speed = tuple(Column(f"{key}_mbit", f"{title}: Mbit/s", "more") for key, title in ways)
    cost = tuple(Column(f"{key}_cpu", f"{title}: CPU s/GiB", "less", 2) for key, title in ways)
    sides = tuple(Column(f"{key}_cpu_{side}", f"{title}: of it {side.upper()}", "", 2, compared=False)
                  for key, title in ways[:2] for side in "ab")
    return [
        Table("Bulk", "iperf3 through the tunnel, 1 and 8 connections; down is from the service to the visitor. The rate is the "
              "receiver's.", speed),
        Table("CPU time of bulk", "User and system seconds of both sides for each GiB received; A is the visitors' side.",
              cost + sides),
        Table("Small messages and new connections", "64 bytes there and back on one kept connection; 32 workers that connect, "
              "move a byte there and back and close.", (
                  Column("ping_p50_us", "p50 µs"), Column("ping_p99_us", "p99 µs"),
                  Column("connections_s", "connections/s", "more"), Column("connection_p99_ms", "connection p99 ms", digits=1),
                  Column("connections_failed", "failed", "", compared=False))),
        Table("Datagrams", "256 bytes, echoed, one flow.", (
            Column("udp_2k_loss_pct", "2,000/s: loss %", digits=2), Column("udp_2k_p50_us", "2,000/s: p50 µs"),
            Column("udp_20k_loss_pct", "20,000/s: loss %", digits=2), Column("udp_20k_p50_us", "20,000/s: p50 µs"))),
        Table("Memory of both sides", "Proportional set size, MiB.", (
            Column("memory_idle_mib", "idle", digits=1), Column("memory_1000_mib", "1,000 open", digits=1),
            Column("memory_1000_each_kib", "1,000: KiB each", digits=1), Column("memory_1000_closed_mib", "1,000 closed", digits=1),
            Column("memory_10000_mib", "10,000 open", digits=1), Column("memory_10000_each_kib", "10,000: KiB each", digits=1),
            Column("memory_10000_closed_mib", "10,000 closed", digits=1),
            Column("memory_10000_failed", "not opened", "", compared=False))),
        Table("Integrity", "A download whose every byte is checked: as it is, with a reader that rests, and from a service that "
              "closes its socket at once. And what one visitor costs that reads nothing of an endless one.", (
                  Column("whole", "whole", "more", yes=True, compared=False),
                  Column("whole_resting", "whole, rest", "more", yes=True, compared=False),
                  Column("whole_tail", "whole, closed at once", "more", yes=True, compared=False),
                  Column("whole_tail_missing", "bytes missing then", "", compared=False),
                  Column("stalled_grown_mib", "stalled: MiB more", digits=1),
                  Column("stalled_other_p50", "others' p50, times", digits=2))),
        Table("Exit with live connections", "Milliseconds from SIGTERM to the end of one side.", (
            Column("exit_a_ms", "A", digits=1), Column("exit_b_ms", "B", digits=1),
            Column("exit_a_live", "connections", "", compared=False))),
    ]


def _linked(control, losses, udp_loss):
    at = lambda name, loss: f"{name} {control} {loss:g}"
    goodput = tuple(Column(at("goodput_mbit", loss), f"{loss:g} %: Mbit/s", "more", 1) for loss in losses)
    waits = tuple(Column(at(f"ttfb_{part}_ms", loss), f"{loss:g} %: {part} ms", "less", 0)
                  for loss in losses for part in ("p50", "p99"))
    samples = tuple(Column(at(name, loss), f"{loss:g} %: {title}", "", compared=False)
                    for loss in losses for name, title in (("ttfb_samples", "requests"), ("ttfb_failed", "failed")))
    other = tuple(Column(at(name, loss), title, better, 1) for name, loss, title, better in (
        ("lossy_udp_excess_pct", udp_loss, f"datagrams at {udp_loss:g} %: loss beyond the link's, %", "less"),
        ("lossy_udp_p50_ms", udp_loss, "datagrams: p50 ms", "less"),
        ("fair_tunnel_pct", 0, "beside one TCP flow: the tunnel's % of the link", ""),
        ("fair_tcp_pct", 0, "that flow's", "")))
    return [
        Table(f"Link, TCP {control}: one download", "Loss is for each way.", goodput),
        Table(f"Link, TCP {control}: small requests while a download fills the tunnel",
              "Time to the first byte of the answer on kept connections.", waits + samples),
        Table(f"Link, TCP {control}: datagrams and fairness", "1,000 datagrams a second; the clean link shared with one flow of "
              "plain TCP.", other),
    ]


def flat(record):
    """The numbers of a record by column key."""
    place = ""
    if record["scene"] == "link":
        place = f" {record['control']} {record['loss']:g}"
    elif record["scene"] == "growth":
        place = f" {record['size']}"
    return {name + place: value for name, value in record["numbers"].items() if value is not None}


def tables(records):
    found = []
    if any(record["scene"] == "loopback" for record in records):
        found += _loopback()
    links = [record for record in records if record["scene"] == "link"]
    for control in dict.fromkeys(record["control"] for record in links):
        own = [record for record in links if record["control"] == control]
        losses = sorted({record["loss"] for record in own if record["measure"] in ("goodput", "requests")})
        udp = [record["loss"] for record in own if record["measure"] == "lossy-udp"]
        found += _linked(control, losses, udp[0] if udp else 0)
    return found
