"""The report as an SVG plot: memory, descriptors, requests and failures over time, with the faults."""

from html import escape

from .plan import GROUPS

LEFT, WIDTH, RIGHT = 90, 1000, 130
PANEL, GAP, TOP = 150, 46, 70
LEGEND_LINE = 17
COLOURS = {"gateway": "#1f5fa8", "auto": "#c75b12", "ws": "#2f8f4e", "requests": "#1f5fa8", "failures": "#b3202c"}
BAND = {"fault": "#f3c9c9", "restart": "#e3cdf2", "harmless": "#cfe3cf", "quiet": "#e9edf2"}


class Panel:
    """One diagram: a title, a unit, and lines by name."""

    def __init__(self, number, title, length, lines):
        self.y = TOP + number * (PANEL + GAP)
        self.title = title
        self.length = length
        self.lines = lines
        highest = max((value for line in lines.values() for _, value in line if value is not None), default=1)
        self.step = nice(max(highest, 1) / 4)
        # With room for the faults' numbers.
        self.top = self.step * (int(highest * 1.2 / self.step) + 1)

    def x(self, at):
        return LEFT + WIDTH * at / self.length

    def height(self, value):
        return self.y + PANEL * (1 - value / self.top)

    def draw(self, bands):
        yield text(LEFT, self.y - 8, self.title, weight="bold")
        yield from (self._band(band) for band in bands)
        value = 0
        while value <= self.top:
            y = self.height(value)
            yield line(LEFT, y, LEFT + WIDTH, y, "#d5d9de")
            yield text(LEFT - 8, y + 4, f"{value:g}", anchor="end")
            value += self.step
        for at in ticks(self.length):
            yield line(self.x(at), self.y + PANEL, self.x(at), self.y + PANEL + 5, "#888")
            yield text(self.x(at), self.y + PANEL + 18, f"{at:g} s", anchor="middle")
        for number, (name, points) in enumerate(self.lines.items()):
            colour = COLOURS[name.split()[0]]
            yield from self._curve(points, colour)
            y = self.y + 12 + 18 * number
            yield line(LEFT + WIDTH + 10, y - 4, LEFT + WIDTH + 32, y - 4, colour, 3)
            yield text(LEFT + WIDTH + 38, y, name)

    def _band(self, band):
        begin, end, kind, _ = band
        width = max(self.x(end) - self.x(begin), 1.5)
        return f'<rect x="{self.x(begin):.1f}" y="{self.y}" width="{width:.1f}" height="{PANEL}" fill="{BAND[kind]}"/>'

    def _curve(self, points, colour):
        """A line that is broken where there is no value."""
        part = []
        for at, value in [*points, (0, None)]:
            if value is not None:
                part.append(f"{self.x(at):.1f},{self.height(value):.1f}")
                continue
            if part:
                yield f'<polyline points="{" ".join(part)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            part = []


def nice(step):
    """The next of 1, 2, 5, 10, 20, …"""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if size * factor >= step:
                return size * factor
        size *= 10


def ticks(length):
    step = nice(length / 10)
    return range(0, int(length) + 1, step)


def text(x, y, words, anchor="start", weight="normal", size=12, colour="#222"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
        f'fill="{colour}">{escape(words)}</text>'
    )


def line(x1, y1, x2, y2, colour, width=1):
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
    )


def bands_of(stage):
    """What is shaded: quiet points, and the faults with their numbers."""
    for begin, end in stage.rests:
        yield stage.sampler.since(begin), stage.sampler.since(end), "quiet", ""
    for met in stage.met:
        kind = "restart" if met.fault.restart else "harmless" if met.fault.harmless else "fault"
        end = met.cleared + (met.recovered or 0)
        yield stage.sampler.since(met.start), stage.sampler.since(end), kind, str(met.number)


def panels(stage, length):
    samples = stage.sampler.samples

    def of(field, scale):
        return {
            name: [(one.at, getattr(one.usage[name], field) / scale if one.usage[name] else None) for one in samples]
            for name in ("gateway", *GROUPS)
        }

    yield Panel(0, "Resident memory (MiB)", length, of("rss", 1 << 20))
    yield Panel(1, "Open descriptors", length, of("descriptors", 1))
    worked = [(one.at, one.worked) for one in samples]
    failed = [(one.at, one.failed) for one in samples]
    yield Panel(2, "Requests that worked, each second", length, {"requests": worked})
    yield Panel(3, "Failures that users saw, each second", length, {"failures": failed})


def numbers(bands, panel):
    """The faults' numbers in the first diagram, in two rows where they would touch."""
    last = {}
    for begin, end, _, number in bands:
        if not number:
            continue
        middle = panel.x((begin + end) / 2)
        row = 0 if middle - last.get(0, -99) > 16 else 1
        last[row] = middle
        yield text(middle, panel.y + 12 + 12 * row, number, anchor="middle", size=10, colour="#7a1620")


def legend(stage, bands, y):
    """What the shades and the numbers mean."""
    x = LEFT
    for kind, words in (
        ("fault", "fault, until all works again"),
        ("restart", "the same, with a restart"),
        ("harmless", "reload: nothing may fail"),
        ("quiet", "users rest: a quiet point"),
    ):
        yield f'<rect x="{x}" y="{y - 10}" width="14" height="12" fill="{BAND[kind]}" stroke="#999"/>'
        yield text(x + 20, y, words)
        x += 40 + 7 * len(words)
    per_column = (len(stage.met) + 2) // 3
    for index, met in enumerate(stage.met):
        x = LEFT + (index // per_column) * 370
        line_y = y + 26 + LEGEND_LINE * (index % per_column)
        back = "not well again" if met.recovered is None else f"well again after {met.recovered:.1f} s"
        yield text(x, line_y, f"{met.number}  {met.fault.name}: {back}", size=11)


def draw(stage, verdict, settings):
    """The whole picture."""
    length = max(1, stage.sampler.samples[-1].at)
    bands = list(bands_of(stage))
    all_panels = list(panels(stage, length))
    below = TOP + len(all_panels) * (PANEL + GAP) + 6
    height = below + 40 + LEGEND_LINE * ((len(stage.met) + 2) // 3)
    total = LEFT + WIDTH + RIGHT
    worked = sum(stage.ledger.ok.values())
    end = "FAILED" if verdict.complaints else "passed"
    title = f"Soak: {length:.0f} s, seed {settings.seed}, {worked} requests, {len(verdict.wrong)} wrong, {end}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" viewBox="0 0 {total} {height}" '
        'font-family="sans-serif">',
        f'<rect width="{total}" height="{height}" fill="#fff"/>',
        text(LEFT, 26, title, weight="bold", size=16),
    ]
    for panel in all_panels:
        parts += panel.draw(bands)
    parts += numbers(bands, all_panels[0])
    parts += legend(stage, bands, below)
    return "\n".join([*parts, "</svg>"]) + "\n"
