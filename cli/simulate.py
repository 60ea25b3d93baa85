"""`payer-exchange simulate`: a payer that answers until it is stopped."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..reference.errors import SettingsError
from ..reference.export.queue import HEARTBEAT_S
from ..reference.fhir import json
from ..reference.fhir.pdex import NEWEST, VERSIONS
from ..reference.holdings import Filled, read_paths
from ..reference.intake.conformance import MODES, OFF
from ..reference.roles import role
from ..reference.settings import read_settings
from ..reference.tls import ServerTls, Tls
from ..simulators.assembly import (
    FilledResponder,
    RunningResponder,
    do_jobs,
    start_responder,
)
from ..simulators.granian_serving import serve
from ..simulators.requesting_assembly import (
    RequesterOptions,
    RunningRequester,
    joiners,
    keep_joiners,
    registration_from,
    start_requester,
)
from ..simulators.responder_options import ResponderOptions

_console = Console(stderr=True)


profile_check_option = click.option(
    "--profile-check",
    type=click.Choice(MODES),
    default=OFF,
    show_default=True,
    help="Whether what is received is held to its profiles: told of, or set aside.",
)


class _ByRole(click.Group):
    """Finds a payer's command under any name of its role: `source`, `old-payer`, `client`."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        return found or super().get_command(ctx, f"{role(cmd_name)}-payer")


@click.group(cls=_ByRole)
def simulate() -> None:
    """Play a payer over HTTP."""
    # Jobs compute beside requests. A request that comes back from a query gets its turn after
    # a moment, not after five milliseconds: most of what a kick-off took beside 25 jobs.
    sys.setswitchinterval(0.0002)


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
@click.option(
    "--server",
    type=click.Choice(["cheroot", "granian"]),
    default="cheroot",
    show_default=True,
    help="granian, an extra, answers more requests a second.",
)
@click.option("--pdex-version", type=click.Choice(list(VERSIONS)), default=NEWEST,
              show_default=True, help="The version of PDex it speaks.")  # fmt: skip
@click.option(
    "--offers",
    type=click.Choice(["both", "bulk", "single"]),
    default="both",
    show_default=True,
    help="The exchange of many members, of one, or both.",
)
@click.option(
    "--udap",
    is_flag=True,
    help="Offer UDAP as well, with test authorities of its own; clients are set up for it.",
)
@click.option("--tls", type=click.Choice(["test"]), help="https with a test authority of its own.")
@click.option("--tls-certificate", default="", metavar="FILE",
              help="https with this certificate chain (PEM).")  # fmt: skip
@click.option("--tls-key", default="", metavar="FILE", help="Its private key (PEM).")
@click.option("--client-ca", default="", metavar="FILE",
              help="Mutual TLS: the authorities of client certificates (PEM).")  # fmt: skip
@click.option(
    "--client-certificates",
    type=click.Choice(["off", "optional", "required"]),
    help="Whether clients show certificates; discovery never needs one.",
)
@click.option(
    "--limits",
    type=click.Path(path_type=Path),
    help="A TOML file of how much it bears of a client before it has to wait.",
)
@click.option("--fault", "faults", multiple=True, metavar="NAME=HOW MUCH",
              help="What goes wrong by chance: reset=5%, cut=5%, busy=2%, delay=200ms, "
              "token-life=30s.")  # fmt: skip
@click.option("--envelope", is_flag=True, help="A bulk match answers with Parameters as well.")
@click.option(
    "--workers-only",
    is_flag=True,
    help="Answer nothing: do the exports of a payer on the same --database and --data-dir.",
)
@click.option(
    "--gzip", is_flag=True, help="Compress files on their way to a client that accepts gzip."
)
@click.option(
    "--heartbeat",
    default=HEARTBEAT_S,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Seconds between a worker's signs of life; four are missed by a dead one.",
)
@responder_options
def responding_payer(
    host: str, port: int, public_url: str, data_dir: Path | None, config_out: Path | None,
    members: int, seed: int, paths: tuple[Path, ...], defects: tuple[str, ...],
    data_scope: Path | None, strategy: str, database: str, server: str, limits: Path | None,
    pdex_version: str, offers: str, envelope: bool, workers_only: bool, heartbeat: float,
    gzip: bool, udap: bool, tls: str | None, tls_certificate: str, tls_key: str, client_ca: str,
    client_certificates: str | None, faults: tuple[str, ...],
) -> None:  # fmt: skip
    """Play the responding ("old") payer until interrupted."""
    options = ResponderOptions(
        host=host, port=port, public_url=public_url, data_dir=data_dir, members=members,
        seed=seed, load=paths, defects=defects, faults=faults, scope=data_scope, limits=limits,
        strategy=strategy, database=database, pdex_version=pdex_version,
        single_member=offers != "bulk", bulk=offers != "single",
        gzip=gzip, parameters_envelope=envelope, udap=udap, tls=tls or "",
        tls_certificate=tls_certificate, tls_key=tls_key, client_ca=client_ca,
        client_certificates=client_certificates or "",
    )  # fmt: skip
    if workers_only:
        _do_jobs(options, heartbeat)
        return
    if server == "granian":
        _serve_by_granian(options, config_out)
        return
    running = start(options)
    try:
        tell(running, config_out)
        running.server.wait()
    except KeyboardInterrupt:
        _console.print("Stopping.")
    finally:
        running.close()


def _do_jobs(options: ResponderOptions, heartbeat: float) -> None:
    if options.data_dir is None:
        raise SettingsError("Workers write where the payer reads: give its --data-dir.")
    do_jobs(
        options,
        options.data_dir,
        ready=lambda: _console.print("Doing exports. Stop with Ctrl-C."),
        heartbeat_s=heartbeat,
    )


def _serve_by_granian(options: ResponderOptions, config_out: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="payer-exchange-") as passing:
        serve(
            options,
            options.data_dir or Path(passing),
            ready=lambda found: tell(found, config_out),
        )


@simulate.command("requesting-payer")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8082, show_default=True)
@click.option("--public-url", default="", help="The address others see, behind a reverse proxy.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Kept; else a passing folder.")
@click.option("--database", default="", metavar="URL", help="postgresql://... instead of SQLite.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Know the payer of this payer-exchange.toml, and let its members join.",
)
@click.option("--registration", type=click.File("rb"), help="A registration document to read.")
@click.option(
    "--load",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Local records: NDJSON, Bundles, folders.",
)
@click.option(
    "--config-out",
    type=click.Path(path_type=Path),
    help="Write where it answers, the tokens of its two APIs and its members here, as JSON.",
)
@click.option("--tls-certificate", default="", metavar="FILE",
              help="Answer over https with this certificate chain (PEM).")  # fmt: skip
@click.option("--tls-key", default="", metavar="FILE", help="Its private key (PEM).")
@click.option(
    "--export-method",
    type=click.Choice(["export", "everything", "search"]),
    default="export",
    show_default=True,
)
@click.option(
    "--archive",
    type=click.Choice(["seed", "binary"]),
    default="seed",
    show_default=True,
    help="Originals inside the DocumentReference, or beside it.",
)
@profile_check_option
@click.option(
    "--package",
    "packages",
    multiple=True,
    type=click.Path(exists=True),
    help="A FHIR package that stands before the shipped profiles: .tgz or folder.",
)
@click.option(
    "--accepted",
    type=click.Choice(["200", "202"]),
    default="200",
    show_default=True,
    help="What an accepted invoke-export is answered with.",
)
def requesting_payer(
    host: str, port: int, public_url: str, data_dir: Path | None, database: str,
    tls_certificate: str, tls_key: str, config: Path | None,
    registration: Any, paths: tuple[Path, ...], config_out: Path | None,
    export_method: str, archive: str, accepted: str, profile_check: str,
    packages: tuple[str, ...],
) -> None:  # fmt: skip
    """Play the requesting ("new") payer until interrupted."""
    running = start_requester(
        RequesterOptions(
            host=host, port=port, public_url=public_url, data_dir=data_dir, database=database,
            export_method=export_method, archive_mode=archive, accepted_status=int(accepted),
            profile_check=profile_check, profile_packages=packages,
            tls=_client_tls(config), listener=_listener(tls_certificate, tls_key),
        )
    )  # fmt: skip
    try:
        if registration:
            running.payer.register(json.read_object(registration.read()))
        members = _know(running, config) if config else {}
        if paths:
            _console.print(f"{running.payer.keep_local(read_paths(paths))} local records.")
        _tell_requester(running, config_out, members)
        running.server.wait()
    except KeyboardInterrupt:
        _console.print("Stopping.")
    finally:
        running.close()


def _client_tls(config: Path | None) -> Tls:
    """What the payer of a settings file is asked with."""
    settings = read_settings(config) if config else None
    return settings.target.tls.files(settings) if settings else Tls()


def _listener(certificate: str, key: str) -> ServerTls | None:
    if bool(certificate) != bool(key):
        raise SettingsError("TLS needs both --tls-certificate and --tls-key.")
    return ServerTls(certificate, key) if certificate else None


def _know(running: RunningRequester, config: Path) -> dict[str, str]:
    """Register the payer of a settings file, and keep its members as local Patients.

    Returns each one's id here, by the member's key in the truth table.
    """
    settings = read_settings(config)
    truth = json.read(settings.path(settings.members.file).read_bytes())
    running.payer.register(registration_from(settings, truth["responding_payer"]))
    found = list(joiners(truth, running.payer.clock.now().date()))
    keep_joiners(running.payer, found)
    _console.print(f"{len(found)} members joined; {settings.target.fhir_base} is registered.")
    return {joiner.key: joiner.local_patient for joiner in found}


def _tell_requester(
    running: RunningRequester, config_out: Path | None, members: Mapping[str, str]
) -> None:
    settings = running.payer.settings
    _console.print(f"Requesting payer at [bold]{running.fhir_base}[/bold]", highlight=False)
    if config_out:
        config_out.parent.mkdir(parents=True, exist_ok=True)
        config_out.touch(mode=0o600)
        config_out.write_bytes(
            json.write(
                {
                    "fhir_base": running.fhir_base,
                    "operator_token": settings.operator_token.reveal(),
                    "admin_token": settings.admin_token.reveal(),
                    "members": members,
                }
            )
        )
        _console.print(f"Its address and tokens are in {config_out}.")
    else:
        _console.print("Give --config-out FILE to get the tokens of its APIs.")
    _console.print("Stop with Ctrl-C.")


def start(options: ResponderOptions) -> RunningResponder:
    """Start a responding payer, showing how far its members are loaded."""
    with _console.status("Loading members ...") as status:
        return start_responder(
            options, progress=lambda n: status.update(f"Loading members: {n:,} resources ...")
        )


def tell(running: FilledResponder, config_out: Path | None) -> None:
    """Say where the payer answers and what it holds, and write the settings for its clients."""
    if config_out:
        running.write_config(config_out, "udap" if running.udap else "smart-backend-services")
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
