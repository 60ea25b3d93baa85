"""The results of a load run as Markdown: for a CI job's page and for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .figures import LoadResults, Measure, ThresholdVerdict

SENTENCES = {
    "pass": "Every threshold was met.",
    "fail": "The target missed what was asked of it.",
    "error": "Nothing could be judged.",
}
_MODELS = {
    "closed": "The model is closed: the next request waits for the last answer, so a slow target "
    "is asked less often. Times are those of what succeeded.",
    "open": "The model is open: starts do not wait for answers. `from-intended` counts from the "
    "moment at which a journey was to start. Times are those of what succeeded.",
}


def markdown(results: LoadResults) -> str:
    """The results as one Markdown page."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: LoadResults) -> Iterator[str]:
    figures = results.figures
    count, failed = figures.journeys
    yield f"# Load {results.scenario}: {results.verdict}"
    yield ""
    yield (
        f"{SENTENCES[results.verdict]} {results.title} {count} journeys in "
        f"{results.duration_s:.0f} s at {results.target}, {failed} of them broken; "
        f"{figures.failed_checks} checks failed."
    )
    if results.reason:
        yield ""
        yield results.reason
    if starts_of(results):
        yield ""
        yield starts_of(results)
    for drop in results.drops:
        yield ""
        yield f"**Dropped**: {drop}"
    yield from _table(
        "Thresholds",
        ("threshold", "limit", "measured", "margin", "verdict"),
        map(_threshold, results.thresholds),
    )
    yield from _table(
        "Figures",
        ("measure", "count", "failed", "p50", "p95", "p99", "p99.9", "max", "unit"),
        map(_measure, figures.timed),
    )
    yield from _table(
        "Rates", ("rate", "measured"), [(words, _number(rate)) for words, rate in figures.rates]
    )
    yield from _table(
        "Checks",
        ("check", "count", "failed"),
        [(m.name, str(m.count), str(m.failures)) for m in figures.checks],
    )
    yield from _table(
        "Errors",
        ("at", "message", "times"),
        [(e.name, e.message, str(e.occurrences)) for e in figures.errors],
    )
    yield ""
    yield _MODELS[results.model]


def starts_of(results: LoadResults) -> str:
    """Of the open model: planned, late and dropped starts, and the knee; else nothing."""
    if results.model != "open":
        return ""
    starts = results.figures.starts
    knee = "" if results.knee_per_s is None else f" The knee lies at {results.knee_per_s:.3g}/s."
    return (
        f"{starts.get('planned', 0)} starts were planned, {starts.get('late', 0)} came late and "
        f"{starts.get('dropped', 0)} were dropped, with too many journeys under way.{knee}"
    )


def _table(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    lines = [_row(row) for row in rows]
    if lines:
        yield from ("", f"## {title}", "", _row(head), "|---" * len(head) + "|", *lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|").replace("<", "&lt;") for cell in cells) + " |"


def _threshold(found: ThresholdVerdict) -> tuple[str, ...]:
    margin = "" if found.margin is None else f"{found.margin:+.0%}"
    return (
        found.name,
        f"{found.limit:g}",
        _number(found.actual, "not measured"),
        margin,
        "met" if found.met else "**missed**",
    )


def _measure(found: Measure) -> tuple[str, ...]:
    times = (_number(value) for value in (found.p50, found.p95, found.p99, found.p999, found.max))
    return (found.name, str(found.count), str(found.failures), *times, found.unit)


def _number(value: float | None, none: str = "") -> str:
    if value is None:
        return none
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
