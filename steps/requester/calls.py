"""One call of the requester and what it was answered: the values that the played payer keeps."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ...reference.fhir import media
from ...reference.http import Exchange


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the requester: what place of the played payer it was to, and all of it."""

    place: str
    exchange: Exchange
    round: int = 0
    """Which round of the script it came in."""
    with_certificate: bool = False
    """Whether the client showed a certificate of its own."""

    def header(self, name: str) -> str:
        """A header that was sent, whatever its case; empty when absent."""
        sent = self.exchange.request_headers
        return next((v for k, v in sent.items() if k.lower() == name.lower()), "")

    @property
    def form(self) -> dict[str, list[str]]:
        """The fields of a form that was sent."""
        return parse_qs(self.exchange.request_body.decode("utf-8", "replace"), True)

    @property
    def query(self) -> dict[str, list[str]]:
        """The query of the address."""
        return parse_qs(urlsplit(self.exchange.url).query, True)

    def key_set_url(self) -> str:
        """The jku of the client assertion that was sent; empty without one."""
        head = self.form.get("client_assertion", [""])[0].partition(".")[0]
        try:
            found = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
        except ValueError:
            return ""
        return str(found.get("jku") or "") if isinstance(found, dict) else ""

    def json(self) -> Any:
        """The JSON that was sent; None when it is none."""
        try:
            return json.loads(self.exchange.request_body)
        except ValueError:
            return None


def as_json(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in JSON."""
    told = {"Content-Type": media.JSON, **(headers or {})}
    return Answer(status, json.dumps(content).encode(), told)


def as_fhir(content: Any) -> Answer:
    """An answer in FHIR JSON."""
    return Answer(200, json.dumps(content).encode(), {"Content-Type": media.FHIR_JSON})


def refusal(status: int, code: str, headers: Mapping[str, str] | None = None) -> Answer:
    """A refusal with an OperationOutcome of that code."""
    outcome = {"resourceType": "OperationOutcome",
               "issue": [{"severity": "error", "code": code}]}  # fmt: skip
    told = {"Content-Type": media.FHIR_JSON, **(headers or {})}
    if status == 401:
        told["WWW-Authenticate"] = "Bearer"
    return Answer(status, json.dumps(outcome).encode(), told)
