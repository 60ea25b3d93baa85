"""One self-contained HTML page for people: no network, no script it does not hold itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from . import diagram
from . import findings as told
from .catalogue import requirement
from .chapters import chapter_of
from .exchanges import ShownExchange
from .results import Results

# Each verdict with a sign of its own: colour alone tells nothing to many readers.
_SIGNS = {
    "pass": "✓",
    "fail": "✕",
    "error": "⚡",
    "warn": "!",
    "skip": "?",
    "omit": "○",
    "not_tested": "·",
    "attested": "✓",
}
_WORDS = {
    "pass": "what was looked at is as it has to be",
    "fail": "a SHALL is violated",
    "warn": "a SHOULD is not met",
    "skip": "it could not be told, and the reason is given",
    "omit": "it is not for this role, version or declared capability",
    "error": "the harness failed; this says nothing of the payer",
    "not_tested": "no scenario judges it, and the reason is given",
    "attested": "people say so and name their evidence; nothing was seen",
}


def render(results: Results, exchanges: Mapping[str, ShownExchange] | None = None) -> str:
    """The results as one HTML page; `exchanges` are shown with the findings they belong to."""
    return _template().render(
        results=results,
        sentence=told.sentence(results),
        findings=told.findings(results, exchanges),
        unknowns=told.unknowns(results),
        disputed=told.disputed(results),
        coverage=told.coverage(results),
        features=list(told.by_feature(results)),
        sequence=Markup(_sequence(results, exchanges or {})),  # noqa: S704 - escaped where made
        requirements=told.role_requirements(results),
        requirement=requirement,
        chapter_of=chapter_of,
        signs=_SIGNS,
        words=_WORDS,
    )


def _sequence(results: Results, exchanges: Mapping[str, ShownExchange]) -> str:
    role = results.role.replace("-", " ")
    ends = (role, "the judge") if results.role.startswith("requesting") else ("the judge", role)
    return diagram.render(exchanges.values(), *ends)


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja")


def _source(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")
