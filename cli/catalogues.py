"""`payer-exchange requirements` and `payer-exchange defects`: the two catalogues."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from ..reports.catalogue import catalogue
from ..simulators.defects import DEFECTS, Defect
from ..simulators.requesting_defects import REQUESTING_DEFECTS, RequestingDefect
from ..steps.scenarios import scenarios_by_requirement

_console = Console()


@click.command()
@click.option("--actor", type=click.Choice(["requesting", "responding", "both"]))
@click.option("--phase", help="A phase of the exchange, such as member-match.")
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def requirements(actor: str | None, phase: str | None, *, as_json: bool) -> None:
    """List the requirements with the scenarios that verify each, or why none does."""
    verified = scenarios_by_requirement()
    rows = [r for r in catalogue() if actor in (None, r.actor) and phase in (None, r.phase)]
    if as_json:
        content = [{**asdict(r), "scenarios": verified.get(r.id, [])} for r in rows]
        click.echo(json.dumps(content, indent=1))
        return
    table = Table("id", "strength", "phase", "requirement", "verified by")
    for row in rows:
        names = verified.get(row.id, [])
        table.add_row(row.id, row.strength, row.phase, row.summary,
                      f"{len(names)} scenarios" if names else row.not_tested)  # fmt: skip
    _console.print(table)
    covered = sum(1 for r in rows if verified.get(r.id))
    reasons = Counter(r.not_tested for r in rows if not verified.get(r.id))
    _console.print(f"{covered} of {len(rows)} requirements have a scenario.")
    for reason, count in reasons.most_common():
        _console.print(f"  {count} not tested: {reason}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The rows as JSON.")
def defects(*, as_json: bool) -> None:
    """List the defects a simulated payer can be told to have (Q...: a requesting one)."""
    if as_json:
        content = [
            {"id": d.id, "summary": d.summary, "violates": d.violates, "also": d.also}
            for d in _every_defect()
        ]
        click.echo(json.dumps(content, indent=1))
        return
    table = Table("id", "what is wrong", "violates")
    for found in _every_defect():
        table.add_row(found.id, found.summary, ", ".join(found.violates))
    _console.print(table)


def _every_defect() -> list[Defect | RequestingDefect]:
    return [*DEFECTS.values(), *REQUESTING_DEFECTS.values()]
