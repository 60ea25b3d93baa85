"""The simulated requesting payer on cue: one exchange with the payer it is told of.

What `payer-exchange answer-trigger` does. Between the rounds of an exchange its database stays in
the folder that it is told of; its clock is moved to the day that it is told.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..reference.asking import Representative, consent_period, coverage_to_link, hrex_consent
from ..reference.clock import SystemClock
from ..reference.fhir.hrex import V2_0203
from ..reference.fhir.pdex import BULK_MATCH_SCOPES
from ..reference.opt_in import OptInEvent, OtherPayer
from ..reference.parties import PayerIdentity
from ..reference.requesting import RequestingPayer, RequestingSettings
from ..reference.requesting import batches as outcome
from ..reference.requesting.request import read_invoke
from ..reference.store.database import open_data_dir
from ..reference.tasks import COMPLETED, PART
from ..reference.tls import Tls
from .key_publishing import published

_SYSTEM = "https://requesting-payer.example.org/member-id"
_LIMIT_S = 90
_OUTCOMES = {outcome.MATCHED: "match", outcome.NO_MATCH: "nomatch",
             outcome.CONSTRAINED: "consentconstraint"}  # fmt: skip
Ended = dict[str, Any]


@dataclass(slots=True)
class MovedClock:
    """The machine's clock, moved by whole days."""

    days: int = 0

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(days=self.days)


class Triggered:
    """One requesting payer, asked to do what the environment of a trigger says."""

    def __init__(self, told: Mapping[str, str], folder: Path, jwks_url: str = "") -> None:
        self._told, self._jwks_url = told, jwks_url
        self._file = json.loads(Path(told["MEMBER_FILE"]).read_text(encoding="utf-8"))
        self._asking, self._answering = (
            _party(self._file[f"{role}_payer"]) for role in ("requesting", "responding")
        )
        self._clock = MovedClock()
        scope = BULK_MATCH_SCOPES.get(told["PDEX_VERSION"], BULK_MATCH_SCOPES["2.2.0"])
        settings = RequestingSettings(
            "http://127.0.0.1/fhir", self._asking, folder, patient_system=_SYSTEM,
            allow_loopback=True, bulk_match_scope=scope,
            tls=Tls(told["TLS_AUTHORITIES"], told["TLS_CERTIFICATE"], told["TLS_KEY"]),
        )  # fmt: skip
        database = open_data_dir(folder, "requesting-payer")
        self.payer = RequestingPayer(settings, database, clock=self._clock)

    def run(self) -> Ended:
        """Do what is asked for, and tell how it ended."""
        self.payer.register({"servers": [self._server()]})
        self.payer.keep_local(json.dumps(_local(m["patient"], n)).encode()
                              for n, m in enumerate(self._members, 1))  # fmt: skip
        if self._told["OPERATION"] == "bulk-member-match":
            return self._told_of_batches(self._do_batches())
        task = self.payer.invoke_export(self._invocation(self._file))
        ended = self.payer.wait(task["id"], _LIMIT_S)
        files = ended.retrieved.get("files", []) if ended.retrieved else []
        problems = sum(f["lines"] for f in files if f["role"] == "error")
        return {"outcome": ended.status, "resources": self._held([ended.id]), "problems": problems}

    @property
    def _members(self) -> list[dict[str, Any]]:
        return list(self._file.get("members") or [self._file])

    # One member

    def _server(self) -> dict[str, Any]:
        told = self._told
        return {
            "name": "played",
            "issuer": told["FHIR_BASE"],
            "fhir_base": told["FHIR_BASE"],
            "auth_method": told["AUTH"],
            "client_id": "" if told["AUTH"] == "udap" else told["CLIENT_ID"],
            "key_file": told["KEY_FILE"],
            "jwks_url": self._jwks_url,
            "udap": self._udap() if told["AUTH"] == "udap" else None,
            "file_origins": told["FILE_ORIGINS"].split(),
            "organization": {"system": self._answering.system, "value": self._answering.value,
                             "name": self._answering.name},
        }  # fmt: skip

    @property
    def _representative(self) -> Representative | None:
        found = self._file.get("representative")
        return Representative(found["person"], found["role"]) if found else None

    def _udap(self) -> dict[str, Any]:
        def read(name: str) -> str:
            return Path(self._told[f"UDAP_{name}"]).read_text(encoding="utf-8")

        return {
            "certificate": read("CERTIFICATE"),
            "key": read("KEY"),
            "trust_anchors": read("ANCHORS"),
            "revocation_lists": [read("REVOCATION_LIST")],
            "uri": self._told["UDAP_CLIENT_URI"],
            "community": self._told["UDAP_COMMUNITY"],
            "client_name": self._asking.name,
        }

    def _invocation(self, member: Mapping[str, Any]) -> dict[str, Any]:
        ident = member["patient"]["id"]
        start, end = consent_period("current", self._clock.now().date())
        parts = {
            "MemberPatient": member["patient"],
            "CoverageToMatch": member["coverage_to_match"],
            "CoverageToLink": coverage_to_link(ident, self._asking, "NEW-1"),
            "Consent": hrex_consent(ident, discloser=self._answering, recipient=self._asking,
                                    start=start, end=end, representative=self._representative),
        }  # fmt: skip
        found = [
            {"name": "localPatient", "valueReference": {"reference": "Patient/local-1"}},
            {"name": "sourceIssuerUrl", "valueString": self._told["FHIR_BASE"]},
            {"name": "memberMatch", "part": [{"name": n, "resource": r} for n, r in parts.items()]},
        ]
        return {"resourceType": "Parameters", "parameter": found}

    # Batches

    def _do_batches(self) -> list[str]:
        """The ids of the batches that what is asked for leads to."""
        if not self.payer.opt_ins.of():
            self._opt_in()
        self._clock.days = int(self._told["DAY"] or 0)
        if self._told["ACTION"] == "withdraw":
            for number in range(1, len(self._members) + 1):
                self.payer.opt_ins.withdraw(f"local-{number}")
        if self._told["ACTION"] in ("withdraw", "when-due"):
            return self.payer.ask_what_is_due()
        if self._told["ACTION"] == "update":
            asked = [read_invoke(self.payer.parameters_for(found))
                     for found in self.payer.opt_ins.of()]  # fmt: skip
            return [self.payer.invoke_bulk(asked, since_last=True)]
        return [self.payer.invoke_bulk_export(self._bulk_invocation())["id"]]

    def _opt_in(self) -> None:
        start, end = consent_period("current", self._clock.now().date())
        for number, member in enumerate(self._members, 1):
            self.payer.opt_in(OptInEvent(
                f"local-{number}", start.isoformat(), (end + timedelta(days=365)).isoformat(),
                _card(member["coverage_to_match"], self._answering),
            ), start=False)  # fmt: skip

    def _bulk_invocation(self) -> dict[str, Any]:
        found: list[dict[str, Any]] = [{"name": "optIns", "valueBoolean": True}]
        wanted = self._file.get("wanted")
        if wanted:
            query = f"Observation?date=ge{wanted['service_from']}"
            found.append({"name": "export", "part": [
                {"name": "_type", "valueString": ",".join(wanted["types"])},
                {"name": "_typeFilter", "valueString": query}]})  # fmt: skip
        return {"resourceType": "Parameters", "parameter": found}

    def _told_of_batches(self, batches: list[str]) -> Ended:
        members, problems, statuses = {}, 0, []
        for batch in batches:
            statuses.append(self.payer.wait(batch, _LIMIT_S).status)
            problems += self.payer.batch_summary(batch)["problems"]
            for some in self.payer.batches.members(batch):
                for member in some:
                    number = member.local_patient.removeprefix("local-")
                    members[f"member-{number}"] = _OUTCOMES.get(member.outcome, member.outcome)
        bad = [status for status in statuses if status != COMPLETED]
        return {"outcome": bad[0] if bad else COMPLETED, "resources": self._held(self._tasks()),
                "members": members, "problems": problems}  # fmt: skip

    def _tasks(self) -> list[str]:
        """Every Task of every batch so far, and the batches: what is shared is theirs."""
        patients = [f"local-{n}" for n in range(1, len(self._members) + 1)]
        made = self.payer.tasks.requests(patients)
        tasks = [ident for requests in made.values() for _, ident in requests]
        return list(dict.fromkeys([*tasks, *(ident.partition(PART)[0] for ident in tasks)]))

    def _held(self, tasks: list[str]) -> dict[str, int]:
        """How many resources of each type are here of what these Tasks brought."""
        keys = {entry.key for task in tasks for entry in self.payer.ledger.of(task)}
        return dict(Counter(
            row.type for row in self.payer.repository.by_keys(sorted(keys), bodies=False)
        ))  # fmt: skip


@contextmanager
def triggered(told: Mapping[str, str], folder: Path) -> Iterator[Triggered]:
    """The payer in a folder, closed in the end."""
    with ExitStack() as stack:
        url = ""
        if told["KEY_SET_CERTIFICATE"]:
            files = (told["KEY_SET_CERTIFICATE"], told["KEY_SET_KEY"])
            url = stack.enter_context(published(Path(told["KEY_FILE"]), *files))
        found = Triggered(told, folder, url)
        stack.callback(found.payer.close)
        yield found


def _local(patient: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The member as this payer's own Patient."""
    identifier = [{"system": _SYSTEM, "value": f"NEW-{number}"}]
    return {**patient, "id": f"local-{number}", "identifier": identifier}


def _card(coverage: Mapping[str, Any], payer: PayerIdentity) -> OtherPayer:
    """What the member tells of the other payer's card."""
    [identifier] = [i for i in coverage["identifier"]
                    if i["type"]["coding"][0] == {"system": V2_0203, "code": "MB"}]  # fmt: skip
    return OtherPayer(
        payer.name,
        payer.system,
        payer.value,
        identifier["value"],
        identifier["system"],
        coverage["subscriberId"],
        coverage="concurrent",
    )


def _party(told: Mapping[str, Any]) -> PayerIdentity:
    return PayerIdentity(told["identifier"]["system"], told["identifier"]["value"], told["name"])
