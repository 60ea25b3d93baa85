"""Plots of a load run as SVG, drawn without a script: figures over time, and a distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _FOOT, _HEAD = 720, 170, 60, 22, 10
_COLOURS = ("#1f5fa8", "#c25a00", "#7a2e8e", "#2d7a3e")
# Columns of the distribution for each tenfold of time.
_BY_TEN = 8


def plot(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[tuple[str, str]],
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """One plot as SVG, its scale from zero; a second without a value is a gap in the line.

    `marks` are seconds and what happened then.
    """
    values = [row.get(key) or 0 for row in rows for key, _ in columns]
    top = max([*values, 1])
    last = max(len(rows) - 1, 1)
    parts = [_scale(top, last), *_marked(marks, last)]
    for place, (key, name) in enumerate(columns):
        colour = _COLOURS[place]
        points = (_point(s, row.get(key), last, top) for s, row in enumerate(rows))
        parts.append(
            f'<path d="{_path(points)}" fill="none" stroke="{colour}" stroke-width="2" '
            'stroke-linecap="round"/>'
        )
        at = _LEFT + 8 + 110 * place
        parts.append(f'<text x="{at}" y="{_HEAD + 4}" style="fill:{colour}">{escape(name)}</text>')
    names = escape(", ".join(name for _, name in columns))
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    return f'<svg viewBox="{box}" role="img" aria-label="{names}">{"".join(parts)}</svg>'


def _scale(top: float, last: int) -> str:
    foot, right = _HEIGHT - _FOOT, _WIDTH - 10
    lines = []
    for share in (0, 0.5, 1):
        y = foot - share * (foot - _HEAD - 12)
        lines.append(
            f'<path d="M{_LEFT} {y:.1f}H{right}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(top * share)}</text>'
        )
    lines.append(f'<text x="{_LEFT}" y="{_HEIGHT - 4}">0 s</text>')
    lines.append(f'<text x="{right}" y="{_HEIGHT - 4}" text-anchor="end">{last} s</text>')
    return "".join(lines)


def _marked(marks: Sequence[tuple[float, str]], last: int) -> Iterator[str]:
    """A line for each mark, its words to the left and to the right in turn: they may be near."""
    for place, (second, what) in enumerate(marks):
        x = _LEFT + min(second / last, 1.0) * (_WIDTH - 10 - _LEFT)
        line = f"M{x:.1f} {_HEAD + 8}V{_HEIGHT - _FOOT}"
        side = 'text-anchor="start" dx="3"' if place % 2 else 'text-anchor="end" dx="-3"'
        yield (
            f'<path d="{line}" stroke="#b00020" stroke-dasharray="4 3"/>'
            f'<text x="{x:.1f}" y="{_HEAD + 18}" {side} style="fill:#b00020">{escape(what)}</text>'
        )


def _point(second: int, value: float | None, last: int, top: float) -> tuple[float, float] | None:
    if value is None:
        return None
    foot = _HEIGHT - _FOOT
    x = _LEFT + second / last * (_WIDTH - 10 - _LEFT)
    return x, foot - value / top * (foot - _HEAD - 12)


def _path(points: Iterable[tuple[float, float] | None]) -> str:
    steps, move = [], True
    for point in points:
        if point:
            # A lone point is a line of no length, which its round ends show.
            start = f"M{point[0]:.1f} {point[1]:.1f}" if move else ""
            steps.append(f"{start}L{point[0]:.1f} {point[1]:.1f}")
        move = point is None
    return "".join(steps)


def distribution_plot(counts: Sequence[tuple[float, int]]) -> str:
    """How many took how long, as columns that each span the same factor of time.

    A tail a hundred times as long as the middle is so still seen.
    """
    columns: dict[int, int] = {}
    for milliseconds, count in counts:
        place = math.floor(math.log10(max(milliseconds, 0.1)) * _BY_TEN)
        columns[place] = columns.get(place, 0) + count
    first, last, top = min(columns), max(columns) + 1, max(columns.values())
    width = (_WIDTH - 10 - _LEFT) / (last - first)
    foot, room = _HEIGHT - _FOOT, _HEIGHT - _FOOT - _HEAD - 12
    bars = [
        f'<rect x="{_LEFT + (place - first) * width:.1f}" y="{foot - count / top * room:.1f}" '
        f'width="{max(width - 1, 1):.1f}" height="{count / top * room:.1f}" fill="{_COLOURS[0]}"/>'
        for place, count in sorted(columns.items())
    ]
    ends = "".join(
        f'<text x="{x}" y="{_HEIGHT - 4}" text-anchor="{anchor}">'
        f"{number(10 ** (place / _BY_TEN))} ms</text>"
        for x, place, anchor in ((_LEFT, first, "start"), (_WIDTH - 10, last, "end"))
    )
    most = f'<text x="{_LEFT - 6}" y="{_HEAD + 16}" text-anchor="end">{top}</text>'
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
    return f'<svg {box} aria-label="distribution">{"".join(bars)}{ends}{most}</svg>'


def number(value: float | None) -> str:
    """A figure for people: three digits, and none where nothing was measured."""
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
