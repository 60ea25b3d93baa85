"""Putting a simulated requesting payer together, and its members beside a responding payer's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ..reference.clock import Clock
from ..reference.credentials import credentials
from ..reference.fhir import json
from ..reference.fhir.pdex import BULK_MATCH_SCOPES
from ..reference.opt_in import Education, OptInEvent, OtherPayer
from ..reference.requesting import PhaseEvent, RequestingPayer, RequestingSettings
from ..reference.settings import Settings
from ..reference.store.database import open_data_dir, open_database
from ..reference.tls import ServerTls, Tls
from ..reference.trust.udap.identity import to_pem
from .assembly import RunningResponder
from .clients_assembly import CLIENT_ID, REQUESTING, RESPONDING
from .requesting import RequestingSimulator
from .serving import AT_ONCE, Server

PATIENT_SYSTEM = "https://requesting-payer.example.org/member-id"


@dataclass(frozen=True, slots=True)
class RequesterOptions:
    """How a simulated requesting payer is to be."""

    host: str = "127.0.0.1"
    port: int = 0
    public_url: str = ""
    data_dir: Path | None = None
    database: str = ""
    export_method: str = "export"
    archive_mode: str = "seed"
    accepted_status: int = 200
    bulk_export_method: str = "davinci-data-export"
    batch_size: int = 1000
    intake_workers: int = 0
    profile_check: str = "off"
    profile_packages: tuple[str, ...] = ()
    threads: int = 16
    tls: Tls = field(default_factory=Tls)
    """Whom it trusts, and what it shows to the payers it asks."""
    listener: ServerTls | None = None
    """What it shows to those who ask it; None: plain http."""


@dataclass(slots=True)
class RunningRequester:
    """A simulated requesting payer that answers; `close` ends it."""

    payer: RequestingPayer
    server: Server
    folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def fhir_base(self) -> str:
        """The FHIR base that others see."""
        return self.payer.settings.fhir_base

    def close(self) -> None:
        """Stop answering, stop exchanging, and remove what was temporary."""
        self.server.stop()
        self.payer.close()
        if self.folder:
            self.folder.cleanup()


def start_requester(
    options: RequesterOptions,
    *,
    clock: Clock | None = None,
    on_phase: Callable[[PhaseEvent], None] | None = None,
) -> RunningRequester:
    """A simulated requesting payer that answers; unfinished exchanges of its folder go on.

    Raises SettingsError for a taken port or a database that cannot be opened.
    """
    folder = None if options.data_dir else tempfile.TemporaryDirectory(prefix="payer-exchange-")
    data_dir = options.data_dir or Path(folder.name if folder else ".")
    with ExitStack() as undo:
        if folder:
            undo.callback(folder.cleanup)
        server = Server(options.host, options.port, threads=options.threads,
                        at_once=AT_ONCE[bool(options.database)],
                        tls=options.listener)  # fmt: skip
        undo.callback(server.stop)
        payer = _payer(options, server, data_dir, clock, on_phase)
        undo.callback(payer.close)
        payer.resume()
        server.start(RequestingSimulator(payer).app)
        undo.pop_all()
    return RunningRequester(payer, server, folder)


def _payer(
    options: RequesterOptions,
    server: Server,
    data_dir: Path,
    clock: Clock | None,
    on_phase: Callable[[PhaseEvent], None] | None,
) -> RequestingPayer:
    root = options.public_url.rstrip("/") or server.url
    engine = (
        open_database(options.database)
        if options.database
        else open_data_dir(data_dir, "requesting-payer")
    )
    settings = RequestingSettings(
        fhir_base=f"{root}/fhir",
        identity=REQUESTING,
        data_dir=data_dir,
        patient_system=PATIENT_SYSTEM,
        export_method=options.export_method,
        tls=options.tls,
        allow_loopback=True,  # the payers it asks run on this machine
        archive_mode=options.archive_mode,
        accepted_status=options.accepted_status,
        bulk_export_method=options.bulk_export_method,
        batch_size=options.batch_size,
        intake_workers=options.intake_workers,
        profile_check=options.profile_check,
        profile_packages=options.profile_packages,
    )
    return RequestingPayer(settings, engine, clock=clock, on_phase=on_phase)


def registration_of(responder: RunningResponder, auth: str = "private_key_jwt") -> dict[str, Any]:
    """The registration document by which a requesting payer knows a simulated responding payer.

    With `auth` udap it holds a certificate, and no client id: the requesting payer registers.
    """
    server = {
        "name": RESPONDING.name,
        "issuer": responder.fhir_base,
        "fhir_base": responder.fhir_base,
        **_proof(responder, auth),
        "bulk_match_scope": BULK_MATCH_SCOPES.get(responder.payer.settings.pdex_version, ""),
        "organization": {
            "system": RESPONDING.system,
            "value": RESPONDING.value,
            "name": RESPONDING.name,
        },
    }
    return {"servers": [server]}


def _proof(responder: RunningResponder, auth: str) -> dict[str, Any]:
    if auth == "mtls":
        return {"client_id": CLIENT_ID, "auth_method": "tls_client_auth"}
    if auth == "udap" and responder.udap:
        return {"auth_method": "udap", "udap": to_pem(responder.udap.identity)}
    return {"client_id": CLIENT_ID, "key": responder.client_key.reveal()}


def registration_from(settings: Settings, responding: Mapping[str, Any]) -> dict[str, Any]:
    """The registration document for the payer that a payer-exchange.toml names.

    Raises SettingsError when the client's key cannot be read.
    """
    auth, found = settings.target.auth, credentials(settings)
    identifier = responding["identifier"]
    server = {
        "name": responding.get("name", ""),
        "issuer": settings.target.fhir_base,
        "fhir_base": settings.target.fhir_base,
        "client_id": found.client_id,
        "token_url": auth.token_url,
        "match_scope": auth.match_scope,
        "data_scope": auth.data_scope,
        "bulk_match_scope": auth.bulk_scope(settings.target.pdex_version),
        "member_binding": auth.member_binding,
        "organization": {**identifier, "name": responding.get("name", "")},
        **({"auth_method": "udap", "udap": to_pem(found.udap)} if found.udap else
           {"auth_method": "tls_client_auth"} if found.by_certificate else
           {"key": found.jwk.reveal()} if found.jwk else
           {"auth_method": "client_secret_basic", "secret": found.secret.reveal()}),
    }  # fmt: skip
    return {"servers": [server]}


@dataclass(frozen=True, slots=True)
class Joiner:
    """One member of the old plan who joins the new one: the local Patient, and the opt-in."""

    key: str
    local_patient: str
    patient: Mapping[str, Any]
    event: OptInEvent


def joiners(truth: Mapping[str, Any], today: date, *, first: int = 1) -> Iterator[Joiner]:
    """The members of a truth table as they join the new plan, in the table's order.

    They are numbered from `first` on.
    """
    for number, member in enumerate(truth["members"], first):
        names = [n for n in member["patient"].get("name", []) if n.get("use") != "old"]
        if not names or not member["coverages"]:
            continue
        local = f"member-{number}"
        patient = {
            "resourceType": "Patient",
            "id": local,
            "identifier": [{"system": PATIENT_SYSTEM, "value": f"NEW-{number:06}"}],
            "name": [names[0]],
            **{k: member["patient"][k] for k in ("gender", "birthDate") if k in member["patient"]},
        }
        yield Joiner(member["key"], local, patient, _event(local, member["coverages"][0], today))


def strangers(count: int, today: date, *, first: int) -> Iterator[Joiner]:
    """People who join with the card of a plan that never had them: nobody's number."""
    for number in range(first, first + count):
        card = {"identifier": [{"value": f"NOBODY-{number:06}"}]}
        patient = {
            "name": [{"family": "Strangeways", "given": [f"Number{number}"]}],
            "gender": "unknown",
            "birthDate": "1970-01-01",
        }
        told = {"key": f"stranger-{number}", "patient": patient, "coverages": [card]}
        yield from joiners({"members": [told]}, today, first=number)


def keep_joiners(payer: RequestingPayer, found: Iterable[Joiner]) -> None:
    """Store the local Patients of members who join."""
    payer.keep_local(json.write(joiner.patient) for joiner in found)


def _event(local: str, coverage: Mapping[str, Any], today: date) -> OptInEvent:
    """The opt-in of a member who shows the card of the old plan."""
    numbers = [i for i in coverage.get("identifier", []) if i.get("value")]
    number = numbers[0] if numbers else {}
    codings = coverage.get("relationship", {}).get("coding", [])
    other = OtherPayer(
        name=RESPONDING.name,
        system=RESPONDING.system,
        value=RESPONDING.value,
        member_id=str(number.get("value", "")),
        member_system=str(number.get("system", "")),
        subscriber_id=str(coverage.get("subscriberId", "")),
        relationship=str(codings[0].get("code", "self")) if codings else "self",
    )
    return OptInEvent(
        local_patient=local,
        start=today.isoformat(),
        end=(today + timedelta(days=90)).isoformat(),
        other_payer=other,
        education=Education("1", today.isoformat(), "portal"),
    )
