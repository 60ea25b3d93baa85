"""Taking members and secrets out of everything that is written for people.

What the truth table knows of members is replaced wherever it stands; tokens, assertions and keys
are replaced by what they are; a FHIR body loses the values of every element that tells of a person.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MASK = "********"
_SECRET_FIELDS = re.compile(
    r"((?:client_assertion|client_secret|\b(?:access_|refresh_)?token)=)[^&\s]+"
)
_BEARER = re.compile(r"(?i)\b(Bearer|Basic) [A-Za-z0-9._~+/=-]{8,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_PATIENT_PATH = re.compile(r"(Patient/)(?!\$)[A-Za-z0-9.-]+")
_DATE = re.compile(r"\b(?:19|20)\d\d-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?")
# Elements whose values tell who somebody is, or what happened to them.
_PERSONAL = frozenset(
    {"name", "family", "given", "text", "birthDate", "deceasedDateTime", "address", "telecom",
     "identifier", "value", "subscriberId", "dependent", "div", "data", "photo", "contact", "id",
     "access_token", "client_assertion", "refresh_token", "patient"}
)  # fmt: skip
# What of a JSON Web Key is private (RFC 7518).
_PRIVATE_KEY = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_KEPT_VALUE = frozenset({"CapabilityStatement", "OperationOutcome"})


@dataclass(frozen=True, slots=True)
class Masker:
    """Masks text and bodies; knows the words of one truth table."""

    words: re.Pattern[str] | None = field(default=None)

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Masker:
        """A masker for everything that a truth table tells of its members."""
        words = {w for m in members.get("members", []) for w in _words(m)}
        words |= {w for r in members.get("requests", []) for w in _words(r)}
        if not words:
            return cls()
        # A number is told wherever it stands, also behind an escaped character of a URL; a name
        # only as a word of its own, so that no other word is torn.
        numbers = [w for w in words if len(w) > 5 and any(c.isdigit() for c in w)]
        names = [w for w in words if w not in numbers]
        parts = [_any_of(numbers)] if numbers else []
        parts += [rf"(?<![A-Za-z0-9]){_any_of(names)}(?![A-Za-z0-9])"] if names else []
        return cls(re.compile("|".join(parts)))

    def text(self, text: str) -> str:
        """The text without members and secrets."""
        text = _SECRET_FIELDS.sub(rf"\1{MASK}", text)
        text = _JWT.sub(MASK, _BEARER.sub(rf"\1 {MASK}", text))
        text = _PATIENT_PATH.sub(r"\1{member}", text)
        return self.words.sub("{member}", text) if self.words else text

    def body(self, body: bytes, limit: int = 16_384) -> str:
        """A body for a report: FHIR JSON masked element by element, other text masked as text.

        What is longer than the limit, or is no text, is told by its size alone.
        """
        if len(body) > limit:
            return f"({len(body)} bytes, not shown)"
        try:
            content = json.loads(body)
        except ValueError:
            return self._plain(body)
        kind = content.get("resourceType") if isinstance(content, Mapping) else None
        if kind in _KEPT_VALUE:
            return self.text(json.dumps(content, indent=1))
        return _DATE.sub(MASK, self.text(json.dumps(_masked(content), indent=1)))

    def _plain(self, body: bytes) -> str:
        try:
            return self.text(body.decode())
        except UnicodeDecodeError:
            return f"({len(body)} bytes that are no text)"


def _any_of(words: list[str]) -> str:
    return "(?:" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + ")"


def _words(entry: Mapping[str, Any]) -> set[str]:
    """The names, identifiers and dates in the Patient and the coverages of a truth table's row."""
    found: set[str] = set()
    coverages = entry.get("coverages") or [entry.get("coverage_to_match") or {}]
    if entry.get("patient_id"):
        found.add(str(entry["patient_id"]))
    patient = entry.get("patient") or {}
    for name in patient.get("name", []):
        found |= {name.get("family", ""), *name.get("given", [])}
    found.add(patient.get("birthDate", ""))
    for holder in (patient, *coverages):
        found |= {i.get("value", "") for i in holder.get("identifier", [])}
        found.add(holder.get("subscriberId", ""))
    return {w for w in found if len(w) > 2}


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        # A payer under test may publish a private key: the finding tells it, the report does not.
        hidden = _PRIVATE_KEY if "kty" in value else ()
        return {k: MASK if k in hidden else _masked_member(k, v) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v) for v in value]
    return value


def _masked_member(key: str, value: Any) -> Any:
    # A parameter's name says what it is, not who somebody is.
    if key == "name" and isinstance(value, str):
        return value
    if key in _PERSONAL and isinstance(value, str):
        return MASK
    if key in ("name", "address", "telecom", "identifier", "contact") and not isinstance(
        value, str
    ):
        return [MASK] if isinstance(value, list) else MASK
    return _masked(value)
