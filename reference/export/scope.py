"""What may leave, and why the rest stays: the data scope of a responding payer.

The default is the CMS-0057-F set (42 CFR 422.121(b)): clinical data, claims without money, and
prior authorizations that are active or changed within twelve months, without denials and drugs.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from ..store.repository import Row, Stored
from .money import STRIPPED_TYPES, strip_money

# US Core 3.1.1 to 7.0.0, PDex additions, claims as ExplanationOfBenefit, documents
# (pdex-135; pdex-hrex facts, section 12).
CMS_TYPES = frozenset(
    {
        "AllergyIntolerance", "Binary", "CarePlan", "CareTeam", "Condition", "Coverage", "Device",
        "DiagnosticReport", "DocumentReference", "Encounter", "ExplanationOfBenefit", "Goal",
        "Immunization", "Location", "Medication", "MedicationDispense", "MedicationRequest",
        "Observation", "Organization", "Patient", "Practitioner", "PractitionerRole", "Procedure",
        "Provenance", "QuestionnaireResponse", "RelatedPerson", "ServiceRequest", "Specimen",
    }
)  # fmt: skip
# Labels that mark a record as sensitive: confidentiality above normal, and the information
# sensitivity codes of v3-ActCode that state and federal law speak of.
SENSITIVE_LABELS = frozenset(
    {"R", "V", "42CFRPart2", "ETH", "HIV", "PSY", "PSYTHPN", "SUD", "SEX", "SEXH", "STD", "BH",
     "SDV", "GDIS", "MH", "OPIOIDUD", "SICKLE", "DVD", "DIA", "LIVARG", "PREGNANT", "REPROHEALTH"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DataScope:
    """The rules by which a stored resource may leave."""

    types: frozenset[str] = CMS_TYPES
    """Resource types that may leave at all."""
    strip_money: bool = True
    """Whether amounts are taken out of claims and cost sharing out of coverages."""
    prior_authorization_months: int = 12
    """How long after its last status change an inactive prior authorization still leaves."""
    denied_prior_authorizations: bool = False
    """Whether denied ones leave; the regulation says no, pdex-132 can be read as yes."""
    drug_prior_authorizations: bool = False
    """Whether prior authorizations of drugs leave; the regulation says no until CMS-0062."""
    years: int | None = None
    """Only what happened in the last so many years; None, the default: five years are a floor."""
    sensitive_labels: frozenset[str] = SENSITIVE_LABELS
    """Security label codes that make a record sensitive."""
    segmented: bool = True
    """Whether this payer can tell sensitive records apart; if not, #regular cannot be honoured."""

    def withheld(self, row: Row, policy: str, today: date) -> str:
        """Why a resource stays, as a stable code; empty when it may leave.

        `policy` is the consent's: `regular` leaves sensitive records out, `sensitive` does not.
        """
        if row.type not in self.types:
            return "type-not-in-scope"
        if policy != "sensitive" and self.is_sensitive(row):
            return "sensitive"
        if "pa" in row.marks:
            return self._authorization_withheld(row.marks, today)
        # A cover that began long ago is no service of long ago.
        if (
            self.years is not None
            and row.type != "Coverage"
            and _older(row.service_date, today, self.years)
        ):
            return "older-than-window"
        return ""

    def is_sensitive(self, row: Row) -> bool:
        """Whether a label of the record is one of the sensitive ones."""
        return self.has_sensitive(row.marks)

    def has_sensitive(self, marks: frozenset[str]) -> bool:
        """Whether a sensitive label is among marks."""
        return _has_label(marks, self.sensitive_labels)

    def release(self, row: Row) -> tuple[bytes, bool]:
        """The bytes that leave, and whether anything was taken out of them."""
        if not self.strip_money or row.type not in STRIPPED_TYPES:
            return row.body, False
        released = row.released
        if released is None:
            released = without_money(row.body)
        return released or row.body, bool(released)

    @property
    def stripped_types(self) -> frozenset[str]:
        """The types that leave without amounts."""
        return STRIPPED_TYPES if self.strip_money else frozenset()

    def _authorization_withheld(self, marks: frozenset[str], today: date) -> str:
        if "pa-denied" in marks and not self.denied_prior_authorizations:
            return "denied-prior-authorization"
        if "pa-drug" in marks and not self.drug_prior_authorizations:
            return "drug-prior-authorization"
        if _is_active(marks, today):
            return ""
        changed = _marked(marks, "pa-changed:")
        if changed and changed < _months_before(today, self.prior_authorization_months).isoformat():
            return "prior-authorization-closed"
        return ""


def without_money(body: bytes) -> bytes:
    """The resource without its amounts; empty when it holds none."""
    stripped = strip_money(body)
    return b"" if stripped is body else stripped


def decided(resource: Stored) -> Stored:
    """The resource with the bytes that leave kept beside it, so that no export makes them."""
    if resource.type not in STRIPPED_TYPES:
        return resource
    return replace(resource, released=without_money(resource.body))


@lru_cache(maxsize=4096)
def _has_label(marks: frozenset[str], labels: frozenset[str]) -> bool:
    """Kept: a payer's records bear few different marks, and each is asked for at every release."""
    return any(mark.startswith("label:") and mark[6:] in labels for mark in marks)


def _is_active(marks: frozenset[str], today: date) -> bool:
    """Active: in force today, or waiting for a decision (pdex-131, pdex-133)."""
    if "pa-status-active" not in marks:
        return False
    end = _marked(marks, "pa-end:")
    return end >= today.isoformat() if end else "pa-pended" in marks


def _marked(marks: Iterable[str], prefix: str) -> str:
    return next((mark[len(prefix) :] for mark in marks if mark.startswith(prefix)), "")


def _months_before(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 - months
    first = date(index // 12, index % 12 + 1, 1)
    following = date((index + 1) // 12, (index + 1) % 12 + 1, 1)
    return first + timedelta(days=min(day.day, (following - first).days) - 1)


def _older(service_date: str | None, today: date, years: int) -> bool:
    return (
        bool(service_date)
        and str(service_date)[:10] < _months_before(today, 12 * years).isoformat()
    )


@dataclass(slots=True)
class Tally:
    """What was released and what was withheld, by type and by reason."""

    released: Counter[str] = field(default_factory=Counter)
    stripped: Counter[str] = field(default_factory=Counter)
    withheld: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, dict[str, int]]:
        """The counts as plain objects."""
        return {f.name: dict(sorted(getattr(self, f.name).items())) for f in fields(self)}


_LISTS = ("types", "sensitive_labels")
_NUMBERS = ("years", "prior_authorization_months")


def read_scope(path: Path) -> DataScope:
    """A data scope from a TOML file; raises SettingsError naming file and key."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The data scope {path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The data scope {path} is not TOML: {error}.") from error
    known = {f.name: f for f in fields(DataScope)}
    for key in content:
        if key not in known:
            raise SettingsError(
                f"{path}: the data scope has no key {key}. It has {', '.join(sorted(known))}."
            )
    return DataScope(**{key: _checked(key, value, path) for key, value in content.items()})


def _checked(key: str, value: Any, path: Path) -> Any:
    """A value of the kind its key needs: a text for a list would let through parts of it."""
    if key in _LISTS:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise SettingsError(f"{path}: {key} must be a list of texts.")
        return frozenset(value)
    if key in _NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise SettingsError(f"{path}: {key} must be a whole number from 0.")
    elif not isinstance(value, bool):
        raise SettingsError(f"{path}: {key} must be true or false.")
    return value
