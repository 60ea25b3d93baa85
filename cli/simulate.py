"""`payer-exchange simulate`: a payer that answers until it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..reference.holdings import Filled
from ..simulators.assembly import ResponderOptions, RunningResponder, start_responder

_console = Console(stderr=True)


@click.group()
def simulate() -> None:
    """Play a payer over HTTP."""


def responder_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options every command takes that starts a simulated responding payer."""
    for option in reversed(
        (
            click.option("--members", default=25, show_default=True, type=click.IntRange(min=1)),
            click.option("--seed", default=1, show_default=True, help="The population's seed."),
            click.option("--load", "paths", multiple=True, type=click.Path(path_type=Path),
                         help="Members of your own: NDJSON, Bundles, folders, .tgz packages."),
            click.option("--defect", "defects", multiple=True,
                         help="Break a rule; payer-exchange defects lists them."),
            click.option("--data-scope", type=click.Path(path_type=Path),
                         help="A TOML file that says what may leave."),
            click.option("--strategy", default="strict", show_default=True,
                         help="The matching strategy: a name, or module:Class."),
            click.option("--database", default="", metavar="URL",
                         help="postgresql://... instead of SQLite."),
        )
    ):  # fmt: skip
        command = option(command)
    return command


@simulate.command("responding-payer")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8081, show_default=True)
@click.option("--public-url", default="", help="The address others see, behind a reverse proxy.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Kept; else a passing folder.")
@click.option(
    "--config-out",
    type=click.Path(path_type=Path),
    help="Write payer-exchange.toml, a client key and the truth table here.",
)
@responder_options
def responding_payer(
    host: str, port: int, public_url: str, data_dir: Path | None, config_out: Path | None,
    members: int, seed: int, paths: tuple[Path, ...], defects: tuple[str, ...],
    data_scope: Path | None, strategy: str, database: str,
) -> None:  # fmt: skip
    """Play the responding ("old") payer until interrupted."""
    options = ResponderOptions(
        host=host, port=port, public_url=public_url, data_dir=data_dir, members=members,
        seed=seed, load=paths, defects=defects, scope=data_scope, strategy=strategy,
        database=database,
    )  # fmt: skip
    running = start(options)
    try:
        tell(running, config_out)
        running.server.wait()
    except KeyboardInterrupt:
        _console.print("Stopping.")
    finally:
        running.close()


def start(options: ResponderOptions) -> RunningResponder:
    """Start a responding payer, showing how far its members are loaded."""
    with _console.status("Loading members ...") as status:
        return start_responder(
            options, progress=lambda n: status.update(f"Loading members: {n:,} resources ...")
        )


def tell(running: RunningResponder, config_out: Path | None) -> None:
    """Say where the payer answers and what it holds, and write the settings for its clients."""
    if config_out:
        running.write_config(config_out)
    _console.print(f"Responding payer at [bold]{running.fhir_base}[/bold]")
    _console.print(_held(running.filled), highlight=False)
    for ident in (d for d, _ in running.filled.refused.items()):
        _console.print(f"  not loaded: {running.filled.refused[ident]} x {ident}")
    if config_out:
        _console.print(f"Settings for a client: {config_out}")
        _console.print(f"Try: payer-exchange verify responding-payer --config {config_out}")
    _console.print("Stop with Ctrl-C.")


def _held(filled: Filled) -> str:
    if not filled.resources:
        return "Members as in the data folder."
    made = f", {filled.coverages_made} coverages made" if filled.coverages_made else ""
    return f"{filled.members:,} members, {filled.resources.total():,} resources{made}."
