"""What a validation found, as one self-contained HTML page: no network, no script."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template


def render(report: dict[str, Any]) -> str:
    """A report of `payer-exchange validate` (payer-exchange/validation/1) as a page for people."""
    return _template().render(report=report, sentence=_sentence(report))


def _sentence(report: dict[str, Any]) -> str:
    wrong, all_of = report["resources_with_errors"], report["resources"]
    if not wrong:
        return f"None of {all_of} resources has an error."
    return f"{wrong} of {all_of} resources {'has' if wrong == 1 else 'have'} errors."


@lru_cache(maxsize=1)
def _template() -> Template:
    folder = files(__package__) / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("validation.html.jinja")
