"""`payer-exchange answer-trigger`: one exchange of the simulated requesting payer, as it is told.

What `verify requesting-payer --trigger` calls when no command of the user's own is given; and an
example of one (docs/requesting-payer-protocol.md).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import click

from ..reference.asking import consent_period, coverage_to_link, hrex_consent
from ..reference.clock import SystemClock
from ..reference.errors import SettingsError
from ..reference.parties import PayerIdentity
from ..reference.requesting import RequestingPayer, RequestingSettings
from ..reference.store.database import open_data_dir
from ..simulators.requesting_defects import REQUESTING_DEFECTS, break_requester

_SYSTEM = "https://requesting-payer.example.org/member-id"
_NAMES = ("FHIR_BASE", "CLIENT_ID", "KEY_FILE", "MEMBER_FILE")
_LIMIT_S = 90


@click.command("answer-trigger")
@click.option("--defect", "defects", multiple=True, type=click.Choice(sorted(REQUESTING_DEFECTS)),
              help="A rule of requesting payers to break.")  # fmt: skip
def answer_trigger(defects: tuple[str, ...]) -> None:
    """Make one exchange with the payer that the environment names, and tell how it ended."""
    for ident in defects:
        break_requester(ident)
    told = _environment()
    with tempfile.TemporaryDirectory(prefix="payer-exchange-") as folder:
        outcome = _exchange(told, Path(folder))
    click.echo(json.dumps(outcome))
    sys.exit(0 if outcome["outcome"] == "completed" else 1)


def _environment() -> dict[str, str]:
    found = {name: os.environ.get(f"PAYER_EXCHANGE_{name}", "") for name in _NAMES}
    missing = [f"PAYER_EXCHANGE_{name}" for name, value in found.items() if not value]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} is not set: payer-exchange verify requesting-payer sets it."
        )
    return {**found, "FILE_ORIGINS": os.environ.get("PAYER_EXCHANGE_FILE_ORIGINS", "")}


def _exchange(told: dict[str, str], folder: Path) -> dict[str, Any]:
    member = json.loads(Path(told["MEMBER_FILE"]).read_text(encoding="utf-8"))
    asking, answering = (_party(member[f"{role}_payer"]) for role in ("requesting", "responding"))
    settings = RequestingSettings(
        "http://127.0.0.1/fhir", asking, folder, patient_system=_SYSTEM, allow_loopback=True
    )
    payer = RequestingPayer(settings, open_data_dir(folder, "requesting-payer"))
    try:
        payer.register({"servers": [_server(told, member["responding_payer"])]})
        payer.keep_local([json.dumps(_local(member["patient"])).encode()])
        parts = _parts(member, asking, answering)
        task = payer.invoke_export(_invocation(told["FHIR_BASE"], parts))
        ended = payer.wait(task["id"], _LIMIT_S)
        kept = Counter(entry.type for entry in payer.ledger.of(ended.id))
        return {"outcome": ended.status, "resources": dict(kept)}
    finally:
        payer.close()


def _server(told: dict[str, str], payer: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "played",
        "issuer": told["FHIR_BASE"],
        "fhir_base": told["FHIR_BASE"],
        "client_id": told["CLIENT_ID"],
        "key_file": told["KEY_FILE"],
        "file_origins": told["FILE_ORIGINS"].split(),
        "organization": {**payer["identifier"], "name": payer["name"]},
    }


def _parts(
    member: dict[str, Any], asking: PayerIdentity, answering: PayerIdentity
) -> dict[str, Any]:
    ident = member["patient"]["id"]
    start, end = consent_period("current", SystemClock().now().date())
    return {
        "MemberPatient": member["patient"],
        "CoverageToMatch": member["coverage_to_match"],
        "CoverageToLink": coverage_to_link(ident, asking, "NEW-1"),
        "Consent": hrex_consent(ident, discloser=answering, recipient=asking, start=start, end=end),
    }


def _invocation(issuer: str, parts: dict[str, Any]) -> dict[str, Any]:
    found = [
        {"name": "localPatient", "valueReference": {"reference": "Patient/local-1"}},
        {"name": "sourceIssuerUrl", "valueString": issuer},
        {"name": "memberMatch", "part": [{"name": n, "resource": r} for n, r in parts.items()]},
    ]
    return {"resourceType": "Parameters", "parameter": found}


def _local(patient: dict[str, Any]) -> dict[str, Any]:
    """The member as this payer's own Patient."""
    return {**patient, "id": "local-1", "identifier": [{"system": _SYSTEM, "value": "NEW-1"}]}


def _party(told: dict[str, Any]) -> PayerIdentity:
    return PayerIdentity(told["identifier"]["system"], told["identifier"]["value"], told["name"])


if __name__ == "__main__":
    answer_trigger()
