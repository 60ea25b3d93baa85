"""Putting a simulated responding payer together: server, database, members, clients, defects."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from ..reference.clock import Clock, SystemClock
from ..reference.export.queue import HEARTBEAT_S, work
from ..reference.export.scope import DataScope, read_scope
from ..reference.holdings import Filled, fill, read_paths
from ..reference.limits import Limits, read_limits
from ..reference.loaded_truth import loaded_truth
from ..reference.parties import PayerIdentity
from ..reference.population import Population
from ..reference.responding import RespondingPayer
from ..reference.responding_settings import RespondingSettings
from ..reference.secret import Secret, SecretKey
from ..reference.store.database import open_data_dir, open_database
from ..reference.tls import Tls
from .clients_assembly import (
    CLIENT_ID,
    OTHER_CLIENT_ID,
    OTHER_REQUESTING,
    PUBLISHING_CLIENT_ID,
    REQUESTING,
    RESPONDING,
    SCOPES,
    key_file,
    register,
    register_publishing,
    write_secret,
)
from .defects import apply
from .exporting import INTERNAL_ROOT
from .faults import read_faults, token_life, with_faults
from .responder_options import ResponderOptions
from .responding import INTERNAL_TOKEN, RespondingSimulator
from .serving import AT_ONCE, Server
from .tls_assembly import TlsKit, publish_bundle
from .udap_assembly import FOLDER, UdapKit, open_udap
from .udap_routes import REGISTER


@dataclass(slots=True, kw_only=True)
class FilledResponder:
    """A responding payer with members, a client and defects; `close` ends its exports."""

    payer: RespondingPayer
    simulator: RespondingSimulator
    client_key: SecretKey
    other_key: SecretKey
    filled: Filled
    population: Population | None
    key_set_address: str
    """Where the client that publishes its keys is to do so, on this machine."""
    tls: TlsKit | None = None
    udap: UdapKit | None = None

    @property
    def fhir_base(self) -> str:
        """The FHIR base that others see."""
        return self.payer.settings.fhir_base

    @property
    def root(self) -> str:
        """The URL that the payer answers below."""
        return self.fhir_base.removesuffix("/fhir")

    @property
    def client_tls(self) -> Tls:
        """What a client trusts and shows: of the test authority where there is one."""
        return self.tls.client if self.tls else Tls()

    def write_config(self, file: Path, method: str = "smart-backend-services") -> None:
        """Write payer-exchange.toml and, beside it, the client's key and the truth table.

        `method` is how the client is to authenticate. Where the payer offers UDAP, the certificates
        for it are written too.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        key = file.parent / key_file(CLIENT_ID)
        write_secret(key, json.dumps(self.client_key.reveal()))
        other = file.parent / key_file(OTHER_CLIENT_ID)
        write_secret(other, json.dumps(self.other_key.reveal()))
        members = file.parent / "members.json"
        members.write_text(json.dumps(self.truth()), encoding="utf-8")
        file.write_text(_TOML.format(
            base=self.fhir_base, version=self.payer.settings.pdex_version,
            method=method, client="" if method == "udap" else CLIENT_ID, key=key.name,
            udap=self.udap.toml() if self.udap else "", members=members.name,
            tls=self.tls.toml(self.root) if self.tls else "",
            admin=self._admin_command(),
            other_client=OTHER_CLIENT_ID, other_key=other.name,
            publishing_client=PUBLISHING_CLIENT_ID, key_set_address=self.key_set_address,
            system=REQUESTING.system, value=REQUESTING.value, name=REQUESTING.name,
        ), encoding="utf-8")  # fmt: skip
        if self.udap:
            self.udap.write(file.parent / FOLDER)

    def _admin_command(self) -> str:
        """How a command of the settings file reaches this payer's admin API."""
        python = sys.executable.replace("\\", "/")
        trust = f" --authorities {self.tls.client.authorities}" if self.tls else ""
        root = self.root
        token = self.payer.settings.admin_token.reveal()
        return f"{python} -m payer_exchange.cli admin{trust} --url {root} --token {token}"

    def truth(self) -> dict[str, Any]:
        """The truth table: of the population, or of what was loaded."""
        responding, requesting = _party(RESPONDING), _party(REQUESTING)
        if self.population is not None:
            return self.population.truth(responding, requesting)
        return loaded_truth(self.payer, responding, requesting)

    def close(self) -> None:
        """Stop exporting."""
        self.payer.close()


@dataclass(slots=True, kw_only=True)
class RunningResponder(FilledResponder):
    """A simulated responding payer that answers; `close` ends it."""

    server: Server
    folder: tempfile.TemporaryDirectory[str] | None = field(default=None)

    def close(self) -> None:
        """Stop answering, stop exporting, and remove what was temporary."""
        self.server.stop()
        self.payer.close()
        if self.folder:
            self.folder.cleanup()


_TOML = """\
# Written by payer-exchange simulate responding-payer.
[target]
fhir_base = "{base}"
pdex_version = "{version}"
may_be_pressed = true

[target.auth]
method = "{method}"
client_id = "{client}"
private_key = "{key}"
{udap}
{tls}
# Another payer's client, which must reach nothing of what the first one's matches opened.
[target.other_client]
client_id = "{other_client}"
private_key = "{other_key}"

# A client whose keys are fetched from where the verifier publishes them.
[target.key_set]
client_id = "{publishing_client}"
listen = "{key_set_address}"

[identity]
system = "{system}"
value = "{value}"
name = "{name}"

[members]
file = "{members}"

[hooks]
withdraw_consent = "{admin} withdraw"
delete_resource = "{admin} delete"
"""


def start_responder(
    options: ResponderOptions,
    *,
    clock: Clock | None = None,
    progress: Callable[[int], None] | None = None,
) -> RunningResponder:
    """A simulated responding payer, filled, registered and answering.

    Raises SettingsError for a taken port, an unknown defect or fault, or a path that cannot be
    loaded.
    """
    faults = read_faults(options.faults)
    folder = None if options.data_dir else tempfile.TemporaryDirectory(prefix="payer-exchange-")
    data_dir = options.data_dir or Path(folder.name if folder else ".")
    with ExitStack() as undo:
        if folder:
            undo.callback(folder.cleanup)
        kit = options.kit(data_dir, clock or SystemClock())
        server = Server(options.host, options.port, threads=options.threads,
                        at_once=AT_ONCE[bool(options.database)],
                        tls=kit.server if kit else None)  # fmt: skip
        undo.callback(server.stop)
        root = options.public_url.rstrip("/") or server.url
        found = open_responder(options, root, data_dir, clock=clock, progress=progress)
        # Only what failed half-way is undone: from here on it is the caller's to close.
        undo.pop_all()
    if kit and kit.authority:
        publish_bundle(found.simulator, kit.authority)
    server.change(found.simulator.listening)
    found.payer.jobs.answering = server.is_full
    server.start(with_faults(found.simulator.app, faults, options.seed))
    return RunningResponder(
        payer=found.payer,
        simulator=found.simulator,
        client_key=found.client_key,
        other_key=found.other_key,
        filled=found.filled,
        population=found.population,
        key_set_address=found.key_set_address,
        udap=found.udap,
        server=server,
        folder=folder,
        tls=kit,
    )


def open_responder(
    options: ResponderOptions,
    root: str,
    data_dir: Path,
    *,
    clock: Clock | None = None,
    progress: Callable[[int], None] | None = None,
    admin_token: str = "",
) -> FilledResponder:
    """A responding payer that others know at the root URL, filled unless its folder has members.

    Raises SettingsError as `start_responder` does.
    """
    udap = _udap(options, root, data_dir, clock or SystemClock())
    payer = _payer(options, root, data_dir, clock, admin_token, udap)
    with ExitStack() as undo:
        undo.callback(payer.close)
        population = _population(options, data_dir, payer)
        filled = _fill(payer, population, options.load, progress)
        key = register(payer, data_dir, CLIENT_ID, REQUESTING)
        other_key = register(payer, data_dir, OTHER_CLIENT_ID, OTHER_REQUESTING)
        key_set = register_publishing(payer)
        simulator = RespondingSimulator(payer)
        apply(simulator, options.defects)
        payer.jobs.resume()
        undo.pop_all()
    return FilledResponder(
        payer=payer, simulator=simulator, client_key=key, other_key=other_key, filled=filled,
        population=population, udap=udap, key_set_address=key_set,
    )  # fmt: skip


def do_jobs(
    options: ResponderOptions, data_dir: Path, *, ready: Callable[[], None],
    heartbeat_s: float = HEARTBEAT_S,
) -> None:  # fmt: skip
    """Do the jobs of a payer that answers elsewhere, on the same database and data folder.

    Returns when it is told to stop. Raises SettingsError without a PostgreSQL or procrastinate.
    """
    root = options.public_url.rstrip("/") or f"http://{options.host}:{options.port}"
    payer = _payer(options, root, data_dir, None, "")
    try:
        apply(RespondingSimulator(payer), options.defects)
        work(payer.jobs, heartbeat_s=heartbeat_s, ready=ready)
    finally:
        payer.close()


def _udap(options: ResponderOptions, root: str, data_dir: Path, clock: Clock) -> UdapKit | None:
    if not options.udap:
        return None
    url = urljoin(f"{root}{INTERNAL_TOKEN}", REGISTER)
    return open_udap(data_dir, clock, f"{root}{INTERNAL_ROOT}", url, SCOPES, REQUESTING)


def _payer(
    options: ResponderOptions, root: str, data_dir: Path, clock: Clock | None, admin_token: str,
    udap: UdapKit | None = None,
) -> RespondingPayer:  # fmt: skip
    engine = (
        open_database(options.database)
        if options.database
        else open_data_dir(data_dir, "responding-payer")
    )
    own_token: dict[str, Any] = {"admin_token": Secret(admin_token)} if admin_token else {}
    settings = RespondingSettings(
        fhir_base=f"{root}{INTERNAL_ROOT}",
        token_url=f"{root}{INTERNAL_TOKEN}",
        identity=RESPONDING,
        data_dir=data_dir,
        scope=_scope(options),
        limits=read_limits(options.limits) if options.limits else Limits(),
        strategy=options.strategy,
        token_lifetime_s=token_life(read_faults(options.faults), options.token_lifetime_s),
        pdex_version=options.pdex_version,
        single_member=options.single_member,
        # PDex knows no bulk exchange before 2.1.0.
        bulk=options.bulk and options.pdex_version != "2.0.0",
        gzip_files=options.gzip,
        parameters_envelope=options.parameters_envelope,
        udap=udap.settings if udap else None,
        allow_loopback=True,  # payers on this machine ask it
        mutual_tls=options.mutual_tls,
        **own_token,
    )
    return RespondingPayer(settings, engine, clock=clock)


def _scope(options: ResponderOptions) -> DataScope:
    """The data scope of the file, else that of the version: 2.1.0 caps at five years (pdex-130)."""
    if options.scope:
        return read_scope(options.scope)
    return DataScope(years=5) if options.pdex_version == "2.1.0" else DataScope()


def _population(
    options: ResponderOptions, data_dir: Path, payer: RespondingPayer
) -> Population | None:
    """The population the folder was filled from, or is to be; None with data of the user's own.

    What it was made of is kept beside it: tomorrow the same options would make another one.
    """
    kept = data_dir / "population.json"
    if kept.is_file():
        facts = json.loads(kept.read_text(encoding="utf-8"))
        return Population(facts["seed"], facts["members"], date.fromisoformat(facts["as_of"]))
    if options.load or payer.repository.counts().get("Patient"):
        return None
    as_of = payer.clock.now().date()
    facts = {"seed": options.seed, "members": options.members, "as_of": as_of.isoformat()}
    data_dir.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(facts), encoding="utf-8")
    return Population(options.seed, options.members, as_of)


def _fill(
    payer: RespondingPayer,
    population: Population | None,
    paths: Iterable[Path],
    progress: Callable[[int], None] | None,
) -> Filled:
    if payer.repository.counts().get("Patient"):
        return Filled()  # the data folder of an earlier run holds them already
    lines = (
        (body for _, _, body in population.resources())
        if population is not None
        else read_paths(list(paths))
    )
    return fill(payer, lines, progress=progress)


def _party(identity: PayerIdentity) -> dict[str, Any]:
    return {
        "identifier": {"system": identity.system, "value": identity.value},
        "name": identity.name,
    }
