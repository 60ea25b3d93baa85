"""Checks of Provenance: filled, of an origin, and told on (PDex, HRex)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ...reference.fhir.references import split_reference
from ..verdicts import CannotTell, CheckFailed
from .delivery import Key
from .payload import Resources, profiles

CLINICAL = frozenset(
    {"AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "DiagnosticReport",
     "DocumentReference", "Encounter", "Goal", "Immunization", "MedicationRequest",
     "Observation", "Procedure"}
)  # fmt: skip
_TRANSMITTER = "transmitter"
_SOURCE_FORMAT = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/ProvenanceSourceFrom"
# PDex CodeSystem ProvenancePayerDataSource.
_SOURCE_FORMATS = frozenset(
    {"hl7v2other", "hl7v2oru", "hl7v2adt", "hl7v2r01", "hl7v2rsp", "hl7v2orm", "hl7v2mdm",
     "hl7v2vxu", "hl7v3", "hl7ccda", "hl7cda", "hl7cdaqrda", "hl7fhirdstu2", "hl7fhirdstu3",
     "hl7fhirr4", "x12837", "x12278", "x12275", "x12other", "script", "ncpdp", "capture",
     "customtx", "image", "unstructured", "other"}
)  # fmt: skip

_ORIGINS = ("author", "source")
# Kinds of resources that may have done what an agent's type says (HRex Provenance guidance).
_PEOPLE = frozenset({"Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson",
                     "Device"})  # fmt: skip
_FITTING = {"author": _PEOPLE, "source": _PEOPLE, "transmitter": frozenset({"Organization"}),
            "custodian": frozenset({"Organization"}),
            "assembler": frozenset({"Organization", "Device"})}  # fmt: skip
_CLAIM_FORMATS = ("x12", "ncpdp", "script")


def transmitter_is_named(resources: Resources) -> None:
    """At least one Provenance names an Organization as transmitter of delivered resources."""
    for resource in _all(resources):
        if _agents(resource, _TRANSMITTER) and set(_targets(resource)) & set(resources):
            return
    raise CheckFailed("No Provenance names the transmitter of what was delivered.",
                      "an agent of type transmitter, an Organization, and delivered targets",
                      "none", "Provenance.agent")  # fmt: skip


def agents_are_complete(resources: Resources) -> None:
    """Every Provenance agent has who and type (pdex-provenance)."""
    for resource in _provenances(resources):
        for index, agent in enumerate(resource.get("agent") or [{}]):
            for element in ("who", "type"):
                if not agent.get(element):
                    raise CheckFailed("A Provenance agent lacks an element.", element, "absent",
                                      f"Provenance.agent[{index}].{element}")  # fmt: skip


def source_formats_are_right(resources: Resources) -> int:
    """Every source format stands on an entity with a code of the guide; returns how many do."""
    found = 0
    for resource in _all(resources):
        if any(e.get("url") == _SOURCE_FORMAT for e in resource.get("extension", [])):
            raise CheckFailed("The format of a source does not stand on an entity.",
                              "on Provenance.entity", "on the Provenance",
                              "Provenance.extension")  # fmt: skip
        for extension in (e for entity in resource.get("entity", [])
                          for e in entity.get("extension", [])):  # fmt: skip
            if extension.get("url") == _SOURCE_FORMAT:
                codings = extension.get("valueCodeableConcept", {}).get("coding", [])
                codes = [str(c.get("code")) for c in codings]
                if not set(codes) & _SOURCE_FORMATS:
                    raise CheckFailed("The format of a source has no code of the guide.",
                                      "a code of ProvenancePayerDataSource",
                                      ", ".join(codes) or "absent",
                                      "Provenance.entity.extension.value")  # fmt: skip
                found += 1
    return found


def origins_are_told(resources: Resources) -> None:
    """Every clinical resource is the target of a Provenance with an author or source."""
    told = {
        target
        for r in _all(resources)
        if _agents(r, "author") or _agents(r, "source")
        for target in _targets(r)
    }
    lacking = [key for key in resources if key[0] in CLINICAL and key not in told]
    if lacking:
        kinds = sorted({kind for kind, _ in lacking})
        raise CheckFailed(
            "Clinical resources come without the Provenance of their origin.",
            "an author or source for each",
            f"{len(lacking)} without, of {', '.join(kinds)}",
            "Provenance.target",
        )


def is_filled(resources: Resources) -> None:
    """Targets and time are there, agents have type and who, entities role and what (pdex-08)."""
    for found in _provenances(resources):
        for name in ("target", "recorded", "agent"):
            if not found.get(name):
                raise CheckFailed("A Provenance lacks an element.", name, "absent",
                                  f"Provenance.{name}")  # fmt: skip
        _each_has(found, "agent", "type", "who")
        _each_has(found, "entity", "role", "what")


def origins_tell_their_feed(resources: Resources) -> None:
    """A Provenance of an author or source tells who that is and the source's format (pdex-06)."""
    origins = [p for p in _provenances(resources) if _agents(p, *_ORIGINS)]
    if not origins:
        raise CheckFailed("No Provenance tells of an origin.", "an author or a source", "none",
                          "Provenance.agent")  # fmt: skip
    formless = sum(1 for p in origins if not any(_formats(p)))
    if formless:
        raise CheckFailed("The Provenance of an origin does not tell its feed.",
                          "the format of the source", f"{formless} of {len(origins)} without",
                          "Provenance.entity.extension")  # fmt: skip


def agents_fit_their_types(resources: Resources) -> None:
    """An agent that is referred to is of a kind of resource that fits its type (hrex-prov-1)."""
    for found in _provenances(resources):
        for agent in _list(found, "agent"):
            key = split_reference((agent.get("who") or {}).get("reference"))
            for code in _codes(agent.get("type")):
                if key and key[0] not in _FITTING.get(code, {key[0]}):
                    raise CheckFailed("An agent is of a kind that does not fit its type.",
                                      f"{code}: {', '.join(sorted(_FITTING[code]))}", key[0],
                                      "Provenance.agent.who")  # fmt: skip


def nobody_acts_for_itself(resources: Resources) -> None:
    """No agent's onBehalfOf is the agent itself (hrex-prov-2)."""
    for found in _provenances(resources):
        for agent in _list(found, "agent"):
            who, other = (split_reference((agent.get(name) or {}).get("reference"))
                          for name in ("who", "onBehalfOf"))  # fmt: skip
            if who and who == other:
                raise CheckFailed("An agent acts on behalf of itself.", "no onBehalfOf",
                                  "itself", "Provenance.agent.onBehalfOf")  # fmt: skip


def claims_tell_their_source(resources: Resources, claims: Iterable[Key]) -> None:
    """Each claim has a Provenance with author, transmitter and a claims format (pdex-19)."""
    told = {
        target for p in _provenances(resources)
        if _agents(p, *_ORIGINS) and _agents(p, "transmitter")
        and any(f.startswith(_CLAIM_FORMATS) for f in _formats(p))
        for target in _targets(p)
    }  # fmt: skip
    _all_told(told, claims, "source, plan and format of the claims feed")


def are_vouched_for(resources: Resources, keys: Iterable[Key]) -> None:
    """Each has a Provenance with author or source, and the source's format (pdex-126, pdex-128)."""
    told = {
        target for p in _provenances(resources) if _agents(p, *_ORIGINS) and any(_formats(p))
        for target in _targets(p)
    }  # fmt: skip
    _all_told(told, (key for key in keys if key in resources and key[0] not in _OWN), "author "
              "and format of the source")  # fmt: skip


# What the exchange itself or the enrolment makes: there is no author to be told.
_OWN = frozenset({"Patient", "Coverage", "Provenance", "Binary"})


def profiles_are_named(resources: Resources) -> None:
    """Every resource names a profile in meta.profile (pdex-cap-meta-profile)."""
    if not resources:
        raise CannotTell("Nothing was delivered.")
    lacking = Counter(key[0] for key, resource in resources.items() if not profiles(resource))
    if lacking:
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(lacking.items()))
        raise CheckFailed("Resources name no profile.", "meta.profile in each", f"without: {told}",
                          "meta.profile")  # fmt: skip


def _all_told(told: Collection[Key], keys: Iterable[Key], what: str) -> None:
    lacking = Counter(key[0] for key in keys if key not in told)
    if lacking:
        raise CheckFailed("The Provenance of records does not tell where they come from.", what,
                          ", ".join(f"{n} {kind} without" for kind, n in sorted(lacking.items())),
                          "Provenance")  # fmt: skip


def _each_has(found: Mapping[str, Any], part: str, *names: str) -> None:
    for entry in _list(found, part):
        for name in names:
            if not entry.get(name):
                raise CheckFailed(f"A Provenance's {part} lacks an element.", name, "absent",
                                  f"Provenance.{part}.{name}")  # fmt: skip


def _all(resources: Resources) -> list[Mapping[str, Any]]:
    return [r for (kind, _), r in resources.items() if kind == "Provenance"]


def _provenances(resources: Resources) -> list[Mapping[str, Any]]:
    found = _all(resources)
    if not found:
        raise CheckFailed("No Provenance was delivered.", "at least one", "none", "Provenance")
    return found


def _agents(found: Mapping[str, Any], *codes: str) -> list[Mapping[str, Any]]:
    """The agents of these types that somebody is named for."""
    return [a for a in _list(found, "agent")
            if a.get("who") and set(codes) & set(_codes(a.get("type")))]  # fmt: skip


def _targets(found: Mapping[str, Any]) -> Iterator[Key]:
    for target in _list(found, "target"):
        key = split_reference(target.get("reference"))
        if key:
            yield key


def _formats(found: Mapping[str, Any]) -> Iterator[str]:
    for entity in _list(found, "entity"):
        for extension in _list(entity, "extension"):
            if extension.get("url") == _SOURCE_FORMAT:
                yield from _codes(extension.get("valueCodeableConcept"))


def _codes(concept: Any) -> list[str]:
    codings = concept.get("coding") if isinstance(concept, Mapping) else None
    return [str(c.get("code")) for c in codings or () if isinstance(c, Mapping)]


def _list(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = found.get(name)
    return [e for e in value if isinstance(e, Mapping)] if isinstance(value, list) else []
