"""The results as Markdown: for a CI job's page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .findings import Finding, counted, coverage, findings, sentence, unknowns
from .results import Results, WaiverResult

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_MOST_TOLD = 50


def render(results: Results) -> str:
    """The verdict, what to fix, what could not be told, and the coverage, as Markdown."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    yield f"# {results.verdict}: {_text(sentence(results))}"
    yield ""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in results.counts.items() if n)
    yield (
        f"{_text(results.target)}, PDex {_text(results.pdex_version)}: "
        f"{counts or 'no scenario'} in {results.duration_s:.1f} s."
    )
    yield from _findings(findings(results))
    yield from _waivers(results.waivers)
    reasons = unknowns(results)
    if reasons:
        yield from ("", "## Could not be told", "")
        yield from (
            f"- {_text(reason)} ({counted(count, 'scenario')})" for reason, count in reasons
        )
    yield from _coverage(results)


def _waivers(waivers: Iterable[WaiverResult]) -> Iterator[str]:
    for number, waiver in enumerate(waivers):
        if not number:
            yield from ("", "## Waivers", "")
        gone = " **Take it away.**" if waiver.has_to_go else ""
        yield (f"- {_text(waiver.requirement)}, {waiver.state}, until {waiver.expires}, "
               f"{_text(waiver.owner)}: {_text(waiver.reason)}{gone}")  # fmt: skip


def _findings(found: list[Finding]) -> Iterator[str]:
    if found:
        yield from ("", "## What to fix first", "")
    for finding in found[:_MOST_TOLD]:
        yield from _finding(finding)
    if len(found) > _MOST_TOLD:
        yield f"- and {len(found) - _MOST_TOLD} more in report.html"


def _finding(finding: Finding) -> Iterator[str]:
    first = finding.first
    more = f" (and {len(finding.scenarios) - 1} more)" if len(finding.scenarios) > 1 else ""
    yield f"- **{finding.verdict}** {_text(first.name)}{more}: {_text(first.message)}"
    for label in ("expected", "actual", "where"):
        if value := getattr(first, label):
            yield f"  - {label}: {_text(value)}"
    if finding.conflict:
        for reading in finding.conflict.readings:
            yield f"  - {_text(reading.source)}: {_text(reading.says)}"
    for row in finding.requirements:
        yield f"  - {_text(row.id)} ({row.strength}): {_text(row.summary)}"


def _coverage(results: Results) -> Iterator[str]:
    rows = coverage(results)
    if rows:
        yield from ("", "## Requirements by phase", "")
        yield _row(("phase", "pass", "fail", "warn", "skip", "not tested"))
        yield "|---|--:|--:|--:|--:|--:|"
    for row in rows:
        counts = dict(row.counts)
        counts["fail"] += counts["error"]
        told = (counts[v] for v in ("pass", "fail", "warn", "skip", "not_tested"))
        yield _row((row.chapter.title, *map(str, told)))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(text: str) -> str:
    """Text as Markdown shows it: no markup, no HTML, one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
