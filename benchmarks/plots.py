"""Small plots as SVG, drawn without a plotting library so that they stay small and diff well."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 720, 210, 20, 26, 34
COLOURS = ("#2a6f97", "#e07a2f", "#5b8c5a", "#8d5a97")
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100)


def strips(groups: Mapping[str, Mapping[str, list[float]]], caption: str) -> str:
    """Ratios on a logarithmic axis: a line per group, a dot per row, a bar at the geometric mean.

    Args:
        groups: group -> series (1 thread, 2 threads) -> ratios. Series share their colours.
        caption: text below the axis.
    """
    values = [v for series in groups.values() for vs in series.values() for v in vs if v > 0]
    low, high = min([*values, 0.5]) / 1.1, max([*values, 1.2]) * 1.1
    names = list(dict.fromkeys(name for series in groups.values() for name in series))
    height = TOP + ROW * len(groups) + 46

    def x_of(value: float) -> float:
        share = math.log(value / low) / math.log(high / low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    bottom = TOP + ROW * len(groups)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for tick in (t for t in TICKS if low <= t <= high):
        colour, width = ("#444444", 1.5) if tick == 1 else ("#dddddd", 1)
        x = x_of(tick)
        parts.append(line(x, TOP - 8, x, bottom, colour, width))
        parts.append(text(x, bottom + 16, f"{tick:g}", "middle"))
    for i, name in enumerate(names):
        x = LEFT + 110 * i
        parts.append(dot(x + 4, 14, COLOURS[i % len(COLOURS)], 1))
        parts.append(text(x + 14, 18, name, "start"))
    for row, (group, series) in enumerate(groups.items()):
        middle = TOP + ROW * row + ROW / 2
        parts.append(text(LEFT - 10, middle + 4, group, "end"))
        for i, name in enumerate(names):
            shift = (i - (len(names) - 1) / 2) * 9
            ratios = [v for v in series.get(name, []) if v > 0]
            colour = COLOURS[i % len(COLOURS)]
            parts += [dot(x_of(v), middle + shift, colour, 0.45) for v in ratios]
            if ratios:
                mean = x_of(math.exp(sum(map(math.log, ratios)) / len(ratios)))
                parts.append(line(mean, middle + shift - 5, mean, middle + shift + 5, colour, 3))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, bottom + 36, caption, "middle"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def dot(x: float, y: float, colour: str, opacity: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}" opacity="{opacity}"/>'


def text(x: float, y: float, what: str, anchor: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222">{escape(what)}</text>'
    )
