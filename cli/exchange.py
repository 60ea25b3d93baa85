"""`payer-exchange exchange`: both payers on free ports, and members' records moved between them."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..reference.requesting import PhaseEvent
from ..reference.tasks import ExchangeTask
from ..reference.trust.mutual_tls import REQUIRED
from ..simulators.assembly import RunningResponder, start_responder
from ..simulators.requesting_assembly import (
    Joiner,
    RequesterOptions,
    RunningRequester,
    joiners,
    keep_joiners,
    registration_of,
    start_requester,
)
from ..simulators.responder_options import ResponderOptions
from ..simulators.tls_assembly import TEST
from .exchange_many import Source, move_many, tell, tell_nonconforming
from .simulate import profile_check_option, responder_options

_console = Console()
_PHASES = ("registration", "opt-in", "request", "authorization", "member-match", "export",
           "storage")  # fmt: skip
_WAIT_S = 600


@click.command()
@responder_options
@click.option("--export-method", type=click.Choice(["export", "everything", "search"]),
              default="export", show_default=True)  # fmt: skip
@click.option("--each", is_flag=True, help="One exchange a member, where a batch would do.")
@click.option(
    "--auth",
    type=click.Choice(["smart", "udap", "mtls"]),
    default="smart",
    show_default=True,
    help="How the new plan proves itself: by its key, by UDAP, or by mutual TLS.",
)
@profile_check_option
@click.option("--tls", is_flag=True, help="Over https, with a test authority; mtls implies it.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False),
              help="Keep both payers' databases and archives here.")  # fmt: skip
def exchange(
    members: int, seed: int, paths: tuple[Path, ...], defects: tuple[str, ...],
    data_scope: Path | None, strategy: str, database: str, export_method: str, each: bool,
    auth: str, profile_check: str, tls: bool, data_dir: Path | None,
) -> None:  # fmt: skip
    """Start both payers, let members join the new plan, and move their records end to end.

    One member is moved by the single-member exchange, many in one batch. Exit status 1 when a
    record did not arrive whole.
    """
    many = members > 1 and not each
    old = data_dir / "responding-payer" if data_dir else None
    new = data_dir / "requesting-payer" if data_dir else None
    responder = start_responder(
        ResponderOptions(members=members, seed=seed, load=paths, defects=defects,
                         scope=data_scope, strategy=strategy, database=database, data_dir=old,
                         udap=auth == "udap", tls=TEST if tls or auth == "mtls" else "",
                         client_certificates=REQUIRED if auth == "mtls" else "")
    )  # fmt: skip
    try:
        watcher = PhaseWatcher()
        requester = start_requester(
            RequesterOptions(
                export_method=export_method, data_dir=new, tls=responder.client_tls,
                # In a batch the originals lie beside their documents: two thirds of the bytes.
                archive_mode="binary" if many else "seed",
                profile_check=profile_check,
            ),
            on_phase=watcher.see,
        )  # fmt: skip
        try:
            if many:
                proof = move_many(Source.of(responder, auth), requester, members, _console)
                tell(proof, _console)
                tell_nonconforming(requester.payer.quarantine, _console)
                whole = proof.holds
            else:
                ended = _move(responder, requester, watcher, members, auth)
                whole = _tell(responder, requester, ended, data_dir)
        finally:
            requester.close()
    finally:
        responder.close()
    sys.exit(0 if whole else 1)


class PhaseWatcher:
    """Shows the phases as they happen: each of one member's, the counts of many."""

    def __init__(self) -> None:
        self.columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(),
                        TextColumn("{task.fields[counts]}"), TimeElapsedColumn())  # fmt: skip
        self.progress = Progress(*self.columns, console=_console,
                                 disable=not _console.is_terminal)  # fmt: skip
        self.single = True
        self._rows: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def see(self, event: PhaseEvent) -> None:
        """Show one event; called from the threads of the exchanges."""
        if not self.single:
            return
        counts = _counted(event.counts)
        if event.state in ("done", "ended", "failed"):
            mark = "[red]failed[/red]" if event.state == "failed" else "[green]done[/green]"
            _console.print(f"  {event.phase:14} {mark}  {event.text} [dim]{counts}[/dim]",
                           highlight=False)  # fmt: skip
            return
        with self._lock:
            key = (event.exchange, event.phase)
            if key not in self._rows:
                self._rows[key] = self.progress.add_task(event.phase, total=None, counts="")
            self.progress.update(self._rows[key], counts=counts or event.text)


def _move(
    responder: RunningResponder,
    requester: RunningRequester,
    watcher: PhaseWatcher,
    members: int,
    auth: str,
) -> list[tuple[Joiner, ExchangeTask]]:
    _console.print(f"Responding payer at [bold]{responder.fhir_base}[/bold]", highlight=False)
    _console.print(f"Requesting payer at [bold]{requester.fhir_base}[/bold]", highlight=False)
    today = requester.payer.clock.now().date()
    found = list(joiners(responder.truth(), today))[:members]
    requester.payer.register(registration_of(responder, auth))
    keep_joiners(requester.payer, found)
    watcher.single = len(found) == 1
    _console.print(f"{len(found)} member{'s' if len(found) > 1 else ''} opt in.")
    with watcher.progress:
        every = watcher.progress.add_task("members", total=len(found), counts="")
        started = [(j, requester.payer.opt_in(j.event)[1]) for j in found]
        ended = []
        for number, (joiner, task) in enumerate(started, 1):
            ended.append((joiner, requester.payer.wait(task, _WAIT_S)))
            watcher.progress.update(every, completed=number, counts=f"{number} of {len(found)}")
    return ended


def _tell(
    responder: RunningResponder,
    requester: RunningRequester,
    ended: list[tuple[Joiner, ExchangeTask]],
    data_dir: Path | None,
) -> bool:
    """Say what was received, stored and withheld; whether every record arrived whole."""
    states = Counter(task.status for _, task in ended)
    _console.print("Tasks: " + ", ".join(f"{n} {state}" for state, n in states.items()))
    for _, task in ended:
        if task.status != "completed" and task.notes:
            _console.print(f"  {task.id}: {task.notes[-1]['text']}", highlight=False)
    withheld, stripped = _withheld(responder)
    received, stored = _counts(requester, ended, "export"), _counts(requester, ended, "storage")
    table = Table("type", "received", "stored", "money taken out")
    for kind in sorted(set(received) | set(stored)):
        table.add_row(kind, *(f"{n[kind]:,}" if n[kind] else "" for n in
                              (received, stored, stripped)))  # fmt: skip
    table.add_section()
    table.add_row("all", *(f"{n.total():,}" for n in (received, stored, stripped)))
    _console.print(table)
    for reason, count in sorted(withheld.items()):
        _console.print(f"Withheld: {count:,} {reason}", highlight=False)
    tell_nonconforming(requester.payer.quarantine, _console)
    if data_dir:
        _console.print(f"Both payers' databases and archives are kept in {data_dir}.")
    return states == Counter({"completed": len(ended)}) and received == stored


def _counted(counts: Mapping[str, int]) -> str:
    """Counts in a line: each when there are few, their sum when there are many."""
    if len(counts) > 3:
        return f"{sum(counts.values()):,} resources of {len(counts)} types"
    return ", ".join(f"{n:,} {name}" for name, n in counts.items())


def _withheld(responder: RunningResponder) -> tuple[Counter[str], Counter[str]]:
    """What the responding payer's own records say it kept back, and took money out of."""
    withheld: Counter[str] = Counter()
    stripped: Counter[str] = Counter()
    for record in responder.payer.audit.records():
        details: Mapping[str, Any] = record["details"]
        withheld.update(details.get("withheld", {}))
        stripped.update(details.get("stripped", {}))
    return withheld, stripped


def _counts(
    requester: RunningRequester, ended: list[tuple[Joiner, ExchangeTask]], phase: str
) -> Counter[str]:
    """What the requesting payer's own records count in a phase, over all exchanges."""
    found: Counter[str] = Counter()
    for _, task in ended:
        for record in requester.payer.trace(task.id):
            if record["phase"] == phase:
                found.update(record["details"].get("counts", {}))
    return found
