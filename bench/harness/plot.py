"""Plots as SVG, written by hand: bars of one column with their spread, and lines over the loss."""

import math
from html import escape

OURS, PEER, REFERENCE = "#1668b8", "#8a94a0", "#c9ced4"
PALETTE = ("#1668b8", "#d1632a", "#2f9461", "#8b5bb5", "#b8912b", "#c0476f", "#4a9aa8", "#6b6b6b", "#93a13d", "#3d4fa1")
FONT = 'font-family="sans-serif" font-size="12"'
ROW, LABEL, WIDTH = 22, 130, 420


def _document(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n<g {FONT} fill="#222">\n' + "\n".join(parts)
            + "\n</g>\n</svg>\n")


def _text(x, y, text, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'


def bars(title, panels):
    """`panels`: (title, better, [(name, Cell, colour, written)]). Panels stand one below the other."""
    parts, y = [_text(10, 20, title, more='font-weight="bold" font-size="14"')], 36
    for name, better, rows in panels:
        parts.append(_text(10, y + 12, f"{name} ({better} is better)" if better else name, more='font-weight="bold"'))
        y += ROW
        top = max((cell.high for _, cell, _, _ in rows), default=0) or 1
        for label, cell, colour, written in rows:
            length, low, high = (WIDTH * max(value, 0) / top for value in (cell.median, cell.low, cell.high))
            parts += [_text(LABEL - 6, y + 13, label, "end"),
                      f'<rect x="{LABEL}" y="{y + 2}" width="{length:.1f}" height="{ROW - 7}" fill="{colour}"/>',
                      f'<path d="M{LABEL + low:.1f} {y + 9.5}H{LABEL + high:.1f}" stroke="#222"/>',
                      _text(LABEL + high + 6, y + 13, written)]
            y += ROW
        y += 10
    return _document(LABEL + WIDTH + 110, y, parts)


def _ticks(highest):
    """Round numbers from nought up, at most five steps of them."""
    power = 10 ** math.floor(math.log10(highest))
    step = next(step for step in (power / 5, power / 2, power, 2 * power) if highest / step <= 5)
    return [step * number for number in range(int(highest / step) + 1)]


def lines(title, unit, series, along=lambda x: x, mark="{:g} %"):
    """`series`: (name, {x: y}), x being the loss in percent unless `mark` says another. `along` is the scale of the x
    axis, such as math.log10. The y axis begins at nought."""
    left, top, width, height = 50, 40, 460, 260
    xs = sorted({x for _, points in series for x in points})
    highest = max((y for _, points in series for y in points.values()), default=1)
    highest = highest if highest > 0 else 1
    span = (along(xs[-1]) - along(xs[0])) or 1
    at = lambda x, y: (left + width * (along(x) - along(xs[0])) / span, top + height * (1 - y / highest))
    parts = [_text(10, 20, title, more='font-weight="bold" font-size="14"'), _text(left, top - 6, unit)]
    for value in _ticks(highest):
        _, y = at(xs[0], value)
        parts += [f'<path d="M{left} {y:.1f}h{width}" stroke="#ddd"/>', _text(left - 6, y + 4, f"{value:g}", "end")]
    parts += [_text(at(x, 0)[0], top + height + 18, mark.format(x), "middle") for x in xs]
    for number, (name, points) in enumerate(series):
        colour = PALETTE[number % len(PALETTE)]
        places = [at(x, points[x]) for x in sorted(points)]
        path = " ".join(f"{'M' if index == 0 else 'L'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(places))
        stroke = 3 if name.startswith("ours") else 1.5
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{stroke}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        y = top + 14 + 18 * number
        parts += [f'<rect x="{left + width + 16}" y="{y - 9}" width="10" height="10" fill="{colour}"/>',
                  _text(left + width + 32, y, name)]
    return _document(left + width + 150, max(top + height + 32, top + 20 + 18 * len(series)), parts)
