"""The results of a load run as one HTML page that needs no other file, with plots over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from .figures import LoadResults
from .junit import shortfall
from .plots import distribution_plot, number, plot
from .summary import SENTENCES, starts_of

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .5rem;border-bottom:1px solid #ddd}
th{text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}
.missed{color:#b00020;font-weight:600}svg{width:100%;height:auto}svg text{font-size:13px;fill:#444}
header{border-left:.5rem solid;padding:.2rem 1rem;margin:1.5rem 0;background:#f6f6f6}
header h1{margin:.2rem 0}.pass{border-color:#2d7a3e}.fail,.error{border-color:#b00020}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(28rem,1fr));gap:1rem 2rem}
figure{margin:0;max-width:44rem}figcaption{font-weight:600}small{color:#555}
"""
_FAILURES = "Failures and dropped starts"
# Each plot: its title, and the columns of the timeline that it shows with their names.
_PLOTS = (
    ("Journeys ended in each second", (("journeys", "journeys"),)),
    (
        "Whole journeys, milliseconds, by the second in which they ended",
        (("p50", "p50"), ("p95", "p95"), ("p99", "p99")),
    ),
    ("Journeys in flight", (("in_flight", "in flight"),)),
    (_FAILURES, (("failures", "failures"), ("dropped", "dropped starts"))),
    ("Resources delivered", (("resources", "resources"),)),
    ("Files, MB in the second in which each ended", (("megabytes", "MB"),)),
    ("Requests answered", (("requests", "requests"),)),
    (
        "Processor use, in cores",
        (("payer_cores", "payer"), ("generator_cores", "generator")),
    ),
    ("Memory of the payer, MB", (("memory_mb", "MB"),)),
)


def page(results: LoadResults) -> str:
    """The results as one HTML page."""
    title = escape(f"Load {results.scenario}: {results.verdict}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join([*_head(results, title), *_parts(results)])
        + "\n</body></html>\n"
    )


def _head(results: LoadResults, title: str) -> Iterator[str]:
    """The verdict, what was done to whom, and what hangs over the figures."""
    figures = results.figures
    count, failed = figures.journeys
    yield f'<header class="{results.verdict}"><h1>{title}</h1>'
    yield f"<p>{escape(SENTENCES[results.verdict])} {escape(results.reason)}</p>"
    yield (
        f"<p>{escape(results.title)} {count} journeys at {escape(results.target)} in "
        f"{results.duration_s:.0f} s, {failed} of them broken; {figures.failed_checks} checks "
        f"failed. {escape(starts_of(results))}</p>"
    )
    if results.faults:
        yield f"<p>Faults of the payer, all the time: {escape(', '.join(results.faults))}.</p>"
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    yield f"<p><small>{escape(f'{results.started}; {machine}.')}</small></p></header>"


def _parts(results: LoadResults) -> Iterator[str]:
    figures = results.figures
    yield from _thresholds(results)
    for drop in results.drops:
        yield f'<p class="missed">{escape(str(drop))}</p>'
    yield "<h2>Over time</h2>"
    yield f'<div class="plots">{"".join(_plots(results))}</div>'
    if figures.distribution:
        yield "<h2>How long whole journeys took</h2>"
        yield f"<figure>{distribution_plot(figures.distribution)}</figure>"
    yield from _measures(results)


def _plots(results: LoadResults) -> Iterator[str]:
    figures = results.figures
    rows = [{**row, "megabytes": row.get("octets", 0) / 1e6} for row in figures.timeline]
    for title, columns in _PLOTS:
        # That nothing failed is worth a look; that nothing was delivered, as of matches, is not.
        if title == _FAILURES or any(row.get(key) for row in rows for key, _ in columns):
            drawn = plot(rows, columns, figures.marks)
            yield f"<figure><figcaption>{title}</figcaption>{drawn}</figure>"


def _thresholds(results: LoadResults) -> Iterator[str]:
    yield "<h2>Thresholds</h2>"
    yield from _table(
        ("threshold", "limit", "measured", "margin", "verdict"),
        (
            (
                t.name,
                f"{t.limit:g}",
                number(t.actual),
                "" if t.margin is None else f"{t.margin:+.0%}",
                shortfall(t) or "met",
            )
            for t in results.thresholds
        ),
    )


def _measures(results: LoadResults) -> Iterator[str]:
    yield "<h2>Rates</h2>"
    yield from _table(
        ("rate", "measured"), ((words, number(rate)) for words, rate in results.figures.rates)
    )
    yield "<h2>What was sent there, and how long it took</h2>"
    yield from _table(
        ("measure", "count", "failed", "p50", "p90", "p95", "p99", "p99.9", "max", "unit"),
        (
            (
                m.name,
                str(m.count),
                str(m.failures),
                *map(number, (m.p50, m.p90, m.p95, m.p99, m.p999, m.max)),
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
