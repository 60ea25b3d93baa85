"""The results of a load run as one HTML page that needs no other file, with plots over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from .figures import LoadResults
from .junit import shortfall

_WIDTH, _HEIGHT, _LEFT, _FOOT, _HEAD = 720, 170, 60, 22, 10
_COLOURS = ("#1f5fa8", "#c25a00", "#7a2e8e", "#2d7a3e")
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .5rem;border-bottom:1px solid #ddd}
th{text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}
.missed{color:#b00020;font-weight:600}svg{width:100%;height:auto}svg text{font-size:11px;fill:#444}
"""
# Each plot: its title, and the columns of the timeline that it shows with their names.
_PLOTS = (
    ("Journeys ended in each second", (("journeys", "journeys"),)),
    (
        "Whole journeys, milliseconds, by the second in which they ended",
        (("p50", "p50"), ("p95", "p95"), ("p99", "p99")),
    ),
    ("Journeys in flight", (("in_flight", "in flight"),)),
    ("Failures and dropped starts", (("failures", "failures"), ("dropped", "dropped starts"))),
    ("Resources delivered", (("resources", "resources"),)),
)


def page(results: LoadResults) -> str:
    """The results as one HTML page."""
    title = escape(f"Load {results.scenario}: {results.verdict}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        + "\n".join(_parts(results))
        + "\n</body></html>\n"
    )


def _parts(results: LoadResults) -> Iterator[str]:
    figures = results.figures
    count, failed = figures.journeys
    starts = figures.starts
    yield (
        f"<p>{count} journeys at {escape(results.target)} in {results.duration_s:.0f} s, "
        f"{failed} of them broken; {figures.failed_checks} checks failed. Model: {results.model}; "
        f"starts: {starts.get('planned', 0)} planned, {starts.get('late', 0)} late, "
        f"{starts.get('dropped', 0)} dropped.</p>"
    )
    if figures.generator_problem:
        yield f'<p class="missed">{escape(figures.generator_problem)}</p>'
    if results.knee_per_s is not None:
        yield f"<p>The knee lies at {results.knee_per_s:.3g} starts a second.</p>"
    yield from _thresholds(results)
    for title, columns in _PLOTS:
        yield f"<h2>{title}</h2>{_plot(figures.timeline, columns)}"
    yield from _measures(results)


def _thresholds(results: LoadResults) -> Iterator[str]:
    yield "<h2>Thresholds</h2>"
    yield from _table(
        ("threshold", "limit", "measured", "margin", "verdict"),
        (
            (
                t.name,
                f"{t.limit:g}",
                _number(t.actual),
                "" if t.margin is None else f"{t.margin:+.0%}",
                shortfall(t) or "met",
            )
            for t in results.thresholds
        ),
    )


def _measures(results: LoadResults) -> Iterator[str]:
    yield "<h2>What was sent, and how long it took</h2>"
    yield from _table(
        ("measure", "count", "failed", "p50", "p90", "p95", "p99", "max", "unit"),
        (
            (
                m.name,
                str(m.count),
                str(m.failures),
                *map(_number, (m.p50, m.p90, m.p95, m.p99, m.max)),
                m.unit,
            )
            for m in results.figures.timed
        ),
    )
    yield "<h2>Checks and errors</h2>"
    yield from _table(
        ("check", "count", "failed"),
        ((m.name, str(m.count), str(m.failures)) for m in results.figures.checks),
    )
    yield from _table(
        ("at", "message", "times"),
        ((e.name, e.message, str(e.occurrences)) for e in results.figures.errors),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [
        "<tr>" + "".join(f"<td{_class(cell)}>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    ]
    if lines:
        heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        yield f"<table><tr>{heads}</tr>{''.join(lines)}</table>"


def _class(cell: str) -> str:
    if cell.endswith("."):
        return ' class="missed"'
    return ' class="n"' if cell[:1].isdigit() or cell[:1] in "+-" else ""


def _plot(rows: Sequence[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> str:
    """One plot as SVG, its scale from zero; a second without a value is a gap in the line."""
    values = [row.get(key) or 0 for row in rows for key, _ in columns]
    top = max([*values, 1])
    last = max(len(rows) - 1, 1)
    parts = [_scale(top, last)]
    for number, (key, name) in enumerate(columns):
        colour = _COLOURS[number]
        points = (_point(s, row.get(key), last, top) for s, row in enumerate(rows))
        parts.append(
            f'<path d="{_path(points)}" fill="none" stroke="{colour}" stroke-width="2" '
            'stroke-linecap="round"/>'
        )
        at = _LEFT + 8 + 110 * number
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
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(top * share)}</text>'
        )
    lines.append(f'<text x="{_LEFT}" y="{_HEIGHT - 4}">0 s</text>')
    lines.append(f'<text x="{right}" y="{_HEIGHT - 4}" text-anchor="end">{last} s</text>')
    return "".join(lines)


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


def _number(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
