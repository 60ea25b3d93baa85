"""Writing a run's results: results.json, and every report form beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import badge, html, junit, summary, test_report
from .exchanges import read_exchanges
from .masking import Masker
from .results import Results, results_from_json

RESULTS = "results.json"
JUNIT, SUMMARY, PAGE = "results.xml", "summary.md", "report.html"
BADGE, TEST_REPORT = "badge.svg", "test-report.json"


def write_results(folder: Path, results: Results, masker: Masker) -> None:
    """Write results.json and the report forms into a folder, without members or secrets.

    The page shows the exchanges of the archive that the results name, when it lies there.
    """
    content = masked(results.as_json(), masker)
    (folder / RESULTS).write_text(json.dumps(content, indent=1), encoding="utf-8")
    write_forms(folder, results_from_json(content))


def write_forms(folder: Path, results: Results) -> None:
    """Write each report form of results that are masked already."""
    exchanges = read_exchanges(folder / results.evidence)
    (folder / JUNIT).write_text(junit.render(results), encoding="utf-8")
    (folder / SUMMARY).write_text(summary.render(results), encoding="utf-8")
    (folder / BADGE).write_text(badge.render(results), encoding="utf-8")
    (folder / TEST_REPORT).write_text(test_report.render(results), encoding="utf-8")
    (folder / PAGE).write_text(html.render(results, exchanges), encoding="utf-8")


def read_results(folder: Path) -> Results:
    """The results of a report folder; raises ValueError when there are none."""
    path = folder / RESULTS
    try:
        return results_from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{path} cannot be read.") from error


def masked(value: Any, masker: Masker) -> Any:
    """A JSON value with every text in it masked."""
    if isinstance(value, dict):
        return {k: masked(v, masker) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [masked(v, masker) for v in value]
    return masker.text(value) if isinstance(value, str) else value
