"""The results for a person: Markdown with tables and ratios, and which plots belong to them."""

from . import growing, plot
from .columns import tables
from .entries import all_entries
from .summary import best, cells

UNCONTROLLED = """\
- Load generator, service, both sides of the tunnel and the link share the machine's cores. Rates on loopback rank tunnels; \
they say little about another machine.
- Clock frequency, temperature and what else ran here are as they were: see the load before the run, and the idle and stolen \
parts for each row in the JSON.
- TCP of namespaces takes buffer sizes and allowed congestion controls from this machine.
- The link loses packets independently of each other; real losses come in bursts. Its frames are paced by sleeping threads: \
`late` in the JSON counts those that left more than 2 ms after their time, `oversized` those longer than a packet."""


def markdown(result):
    records, facts = result["records"], result["machine"]
    known = {entry.name: entry for entry in all_entries()}
    names = list(dict.fromkeys(record["entry"] for record in records))
    table = cells(records)
    parts = ["# Tunnels side by side", "", *_warnings(result), "## Machine", "", *_facts(facts, result), ""]
    for each in tables(records):
        parts += _table(each, names, table)
    parts += growing.tables(records)
    parts += _ratios(records, names, known, table)
    parts += _entries(names, known, result)
    parts += _failures(records)
    parts += ["## What could not be controlled", "", UNCONTROLLED, _busy(records), ""]
    return "\n".join(parts)


def _warnings(result):
    warnings = list(result.get("notes", []))
    if result["plan"]["runs"] < 3:
        warnings.append("fewer than three runs: not for quoting")
    return [f"**{warning[0].upper()}{warning[1:]}.**" for warning in warnings] + ([""] if warnings else [])


def _facts(facts, result):
    plain = [f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items() if name != "versions"]
    versions = "; ".join(f"{name}: {version}" for name, version in facts["versions"].items())
    plan = ", ".join(f"{name} {value}" for name, value in result["plan"].items())
    return [*plain, f"- versions: {versions}", f"- plan: {plan}"]


def _row(name, values):
    return "| " + " | ".join([name, *values]) + " |"


def _head(titles):
    return [_row("entry", titles), "| --- |" + " --- |" * len(titles)]


def written(column, cell):
    if cell is None:
        return "–"
    if column.yes:
        # One run that lost a byte is enough.
        return "yes" if cell.low == 1 else "NO"
    text = f"{cell.median:,.{column.digits}f}"
    if cell.runs > 1 and cell.low != cell.high:
        text += f" ({cell.low:,.{column.digits}f}–{cell.high:,.{column.digits}f})"
    return text


def _table(each, names, table):
    columns = [column for column in each.columns if any(column.key in table.get(name, {}) for name in names)]
    if not columns:
        return []
    rows = [_row(name, [written(column, table[name].get(column.key)) for column in columns])
            for name in names if any(column.key in table.get(name, {}) for column in columns)]
    return [f"## {each.title}", "", each.note, "", *_head([column.title for column in columns]), *rows, ""]


def _ratios(records, names, known, table):
    """For each of ours: the best peer of its kind, and the best that encrypts, whatever its kind."""
    ours = [name for name in names if name in known and known[name].ours]
    peers = [name for name in names if name in known and known[name].peer]
    if not ours or not peers:
        return []
    parts = ["## Ours beside the best peer", "",
             "Ours divided by the best peer's median; bold where ours is at least as good. Peers that do not encrypt and the "
             "references are left out. A connection per visitor is not the same as one for all: the entries below say which.", "",
             "| measure | " + " | ".join(f"{name} | best of its kind | best of all" for name in ours) + " |",
             "| --- |" + " --- |" * (3 * len(ours))]
    for each in tables(records):
        for column in each.columns:
            if column.compared and column.better and any(column.key in table.get(name, {}) for name in ours):
                cells_of = [text for name in ours for text in _compared(column, name, peers, known, table)]
                parts.append(_row(f"{each.title}: {column.title}", cells_of))
    return [*parts, ""]


def _compared(column, ours, peers, known, table):
    same = [peer for peer in peers if known[peer].kind == known[ours].kind]
    texts = [written(column, table.get(ours, {}).get(column.key)).split(" (")[0]]
    for group in (same, peers):
        found = best(table, column, ours, group)
        if found is None:
            texts.append("–")
            continue
        value = f"{found.entry} {found.value:,.{column.digits}f}"
        if found.ratio is None:
            texts.append(value)
            continue
        good = found.ratio >= 1 if column.better == "more" else found.ratio <= 1
        ratio = f"{found.ratio:.2f}"
        texts.append(f"{f'**{ratio}**' if good else ratio} of {value}")
    return texts


def _entries(names, known, result):
    parts = ["## What was compared", "", "| entry | kind | what it is |", "| --- | --- | --- |"]
    parts += [f"| {name} | {known[name].kind} | {known[name].about} |" for name in names if name in known]
    if result["absent"]:
        parts += ["", "Left out, since programs are absent: "
                  + "; ".join(f"{name} ({', '.join(needs)})" for name, needs in result["absent"].items()) + "."]
    return [*parts, ""]


def _failures(records):
    failed = [record for record in records if "error" in record]
    if not failed:
        return []
    lines = [f"- {record['entry']}, {record['measure']}" + (f", {where}" if (where := place(record)) else "")
             + f", run {record['run']}: {record['error'].replace('|', '/')}" for record in failed]
    return ["## What did not come to a result", "", *lines, ""]


def place(record):
    """Where a record was measured, if that is not said by its measure."""
    if record["scene"] == "link":
        return f"{record['control']}, {record['loss']:g} %"
    return f"{record['size']:,} {record['kind']}" if record["scene"] == "growth" else ""


def _busy(records):
    steal = [record["steal_pct"] for record in records]
    linked = [record["idle_pct"] for record in records if record["scene"] == "link"]
    late = sum(way["late"] for record in records for way in (record.get("link") or {}).values())
    text = f"- Stolen by the hypervisor: {min(steal)} to {max(steal)} % of a row's time."
    if linked:
        text += (f" Idle over the link: {min(linked)} to {max(linked)} %; rows below 30 % measure the processors rather than "
                 f"the link. Late frames: {late:,}.")
    return text


def plots(result):
    """File name -> SVG."""
    records = result["records"]
    known = {entry.name: entry for entry in all_entries()}
    names = list(dict.fromkeys(record["entry"] for record in records))
    table = cells(records)
    files = {}
    for each in tables(records):
        stem = "".join(letter if letter.isalnum() else "-" for letter in each.title.lower())
        stem = "-".join(part for part in stem.split("-") if part)
        panels = [panel for column in each.columns if column.compared and (panel := _panel(column, names, known, table))]
        if panels:
            files[f"{stem}.svg"] = plot.bars(each.title, panels)
    return {**files, **growing.plots(records), **_over_loss(records, names, table)}


def _panel(column, names, known, table):
    rows = []
    for name in names:
        cell = table.get(name, {}).get(column.key)
        if cell is not None:
            entry = known.get(name)
            colour = plot.OURS if entry and entry.ours else plot.REFERENCE if entry and entry.reference else plot.PEER
            rows.append((name, cell, colour, written(column, cell).split(" (")[0]))
    return (column.title, column.better, rows) if rows else None


def _over_loss(records, names, table):
    links = [record for record in records if record["scene"] == "link" and "error" not in record]
    files = {}
    for control in dict.fromkeys(record["control"] for record in links):
        losses = sorted({record["loss"] for record in links if record["control"] == control})
        for key, title, unit in (("goodput_mbit", "Goodput of one download over the loss of each way", "Mbit/s"),
                                 ("ttfb_p99_ms", "p99 of small requests under bulk over the loss of each way", "ms")):
            series = [(name, points) for name in names if (points := {
                loss: cell.median for loss in losses if (cell := table.get(name, {}).get(f"{key} {control} {loss:g}"))})]
            # One point is no line.
            if any(len(points) > 1 for _, points in series):
                files[f"{key.split('_')[0]}-over-loss-{control}.svg"] = plot.lines(f"{title}, TCP {control}", unit, series)
    return files
