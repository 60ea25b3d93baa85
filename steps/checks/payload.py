"""Checks on what delivered resources say: money, profiles, Provenance, references, documents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ...reference.fhir.references import references_in, split_reference
from ..verdicts import CheckFailed

Key = tuple[str, str]
Resources = Mapping[Key, Mapping[str, Any]]

_PDEX = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/"
_CARIN = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-"
PRIOR_AUTHORIZATION = _PDEX + "pdex-priorauthorization"
BASIS_PROFILES = tuple(
    f"{_CARIN}{kind}-Basis"
    for kind in (
        "Inpatient-Institutional",
        "Outpatient-Institutional",
        "Professional-NonClinician",
        "Oral",
        "Pharmacy",
    )
)
_PROFILE_ROOTS = (
    "http://hl7.org/fhir/us/core/",
    "http://hl7.org/fhir/us/davinci-pdex/",
    "http://hl7.org/fhir/us/davinci-hrex/",
)
CLINICAL = frozenset(
    {"AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "DiagnosticReport",
     "DocumentReference", "Encounter", "Goal", "Immunization", "MedicationRequest",
     "Observation", "Procedure"}
)  # fmt: skip
# Types outside the Patient compartment.
SHARED = frozenset({"Location", "Medication", "Organization", "Practitioner", "PractitionerRole"})
_TRANSMITTER = "transmitter"
_SOURCE_FORMAT = _PDEX + "ProvenanceSourceFrom"
# PDex CodeSystem ProvenancePayerDataSource.
_SOURCE_FORMATS = frozenset(
    {"hl7v2other", "hl7v2oru", "hl7v2adt", "hl7v2r01", "hl7v2rsp", "hl7v2orm", "hl7v2mdm",
     "hl7v2vxu", "hl7v3", "hl7ccda", "hl7cda", "hl7cdaqrda", "hl7fhirdstu2", "hl7fhirdstu3",
     "hl7fhirr4", "x12837", "x12278", "x12275", "x12other", "script", "ncpdp", "capture",
     "customtx", "image", "unstructured", "other"}
)  # fmt: skip


def no_money(resources: Resources) -> None:
    """No claim or coverage holds an amount with a currency, or cost sharing."""
    for (kind, _), resource in resources.items():
        if kind in ("ExplanationOfBenefit", "Claim", "ClaimResponse", "Coverage"):
            where = next(_money(resource, kind), "")
            if where:
                raise CheckFailed("A claim holds an amount of money.", "no amounts",
                                  "an amount with a currency", where)  # fmt: skip


def claims_are_profiled(resources: Resources) -> None:
    """Every claim that is no prior authorization claims one of the CARIN Basis profiles."""
    claims = [r for r in _of(resources, "ExplanationOfBenefit") if not is_authorization(r)]
    lacking = [r for r in claims if not set(profiles(r)) & set(BASIS_PROFILES)]
    if lacking or not claims:
        raise CheckFailed("Claims do not claim a CARIN Basis profile.",
                          "one of the five Basis profiles",
                          f"{len(lacking)} of {len(claims)} claim none",
                          "ExplanationOfBenefit.meta.profile")  # fmt: skip


def claims_basis_profiles(resources: Resources) -> None:
    """Among the claims, each of the five CARIN Basis profiles is claimed."""
    claimed = {p for r in _of(resources, "ExplanationOfBenefit") for p in profiles(r)}
    missing = [p.rsplit("/", 1)[-1] for p in BASIS_PROFILES if p not in claimed]
    if missing:
        raise CheckFailed("Kinds of claims are missing, or do not claim their profile.",
                          "all five Basis profiles", f"missing: {', '.join(missing)}",
                          "ExplanationOfBenefit.meta.profile")  # fmt: skip


def is_authorization(resource: Mapping[str, Any]) -> bool:
    """Whether an ExplanationOfBenefit is a prior authorization."""
    return resource.get("use") == "preauthorization" or PRIOR_AUTHORIZATION in profiles(resource)


def authorizations_are_profiled(resources: Resources) -> None:
    """Each prior authorization claims its profile and has the elements it requires."""
    found = [r for r in _of(resources, "ExplanationOfBenefit") if is_authorization(r)]
    if not found:
        raise CheckFailed("No prior authorization was delivered.", "at least one", "none",
                          "ExplanationOfBenefit")  # fmt: skip
    for resource in found:
        if PRIOR_AUTHORIZATION not in profiles(resource):
            raise CheckFailed("A prior authorization does not claim its profile.",
                              PRIOR_AUTHORIZATION, "another or none",
                              "ExplanationOfBenefit.meta.profile")  # fmt: skip
        for element in ("status", "use", "type", "patient", "insurer", "provider"):
            if not resource.get(element):
                raise CheckFailed("A prior authorization lacks an element.", element, "absent",
                                  f"ExplanationOfBenefit.{element}")  # fmt: skip


def documents_are_delivered(resources: Resources) -> None:
    """The documents that prior authorizations name in supportingInfo are in the delivery."""
    named = {
        key
        for r in _of(resources, "ExplanationOfBenefit")
        if is_authorization(r)
        for info in r.get("supportingInfo", [])
        for key in map(split_reference, references_in(info))
        if key
    }
    missing = named - set(resources)
    if missing or not named:
        raise CheckFailed("Documents of prior authorizations were not delivered.",
                          "every document that is named",
                          f"{len(missing)} missing" if named else "none is named",
                          "ExplanationOfBenefit.supportingInfo")  # fmt: skip


def transmitter_is_named(resources: Resources) -> None:
    """At least one Provenance names an Organization as transmitter of delivered resources."""
    for resource in _of(resources, "Provenance"):
        if _agents(resource, _TRANSMITTER) and set(_targets(resource)) & set(resources):
            return
    raise CheckFailed("No Provenance names the transmitter of what was delivered.",
                      "an agent of type transmitter, an Organization, and delivered targets",
                      "none", "Provenance.agent")  # fmt: skip


def agents_are_complete(resources: Resources) -> None:
    """Every Provenance agent has who and type (pdex-provenance)."""
    found = list(_of(resources, "Provenance"))
    if not found:
        raise CheckFailed("No Provenance was delivered.", "at least one", "none", "Provenance")
    for resource in found:
        for index, agent in enumerate(resource.get("agent") or [{}]):
            for element in ("who", "type"):
                if not agent.get(element):
                    raise CheckFailed("A Provenance agent lacks an element.", element, "absent",
                                      f"Provenance.agent[{index}].{element}")  # fmt: skip


def source_formats_are_right(resources: Resources) -> int:
    """Every source format stands on an entity with a code of the guide; returns how many do."""
    found = 0
    for resource in _of(resources, "Provenance"):
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
        for r in _of(resources, "Provenance")
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


def references_resolve(resources: Resources, kept_back: Collection[Key] = ()) -> None:
    """Every literal reference of the delivery leads to a resource that is in it.

    What the version itself has a payer keep back may be named all the same.
    """
    for (kind, _), resource in resources.items():
        contained = {f"#{c.get('id')}" for c in resource.get("contained", [])} | {"#"}
        for reference in references_in(resource):
            key = split_reference(reference)
            if key and key not in resources and key not in kept_back:
                raise CheckFailed("A reference leads out of the delivery.", "a delivered resource",
                                  f"a {key[0]} that is not delivered", kind)  # fmt: skip
            if reference.startswith("#") and reference not in contained:
                raise CheckFailed("A reference leads to nothing contained.",
                                  "a contained resource", "none", kind)  # fmt: skip


def profiles_are_claimed(resources: Resources, kind: str) -> None:
    """Every resource of a type claims a profile of US Core, PDex or HRex.

    Whether it also is what it claims is for the profile validator to say.
    """
    held = list(_of(resources, kind))
    lacking = [r for r in held if not any(p.startswith(_PROFILE_ROOTS) for p in profiles(r))]
    if lacking:
        raise CheckFailed(f"{kind} resources claim no profile of the guides.",
                          "a US Core, PDex or HRex profile",
                          f"{len(lacking)} of {len(held)} claim none",
                          f"{kind}.meta.profile")  # fmt: skip


def attachments_have_content(resources: Resources) -> None:
    """Every attachment of a document has a content type and either data or an address."""
    found = [
        content.get("attachment", {})
        for r in _of(resources, "DocumentReference")
        for content in r.get("content", [])
    ]
    if not found:
        raise CheckFailed("No document was delivered.", "at least one", "none",
                          "DocumentReference")  # fmt: skip
    for attachment in found:
        if not attachment.get("contentType") or not (
            attachment.get("data") or attachment.get("url")
        ):
            raise CheckFailed("An attachment lacks its content.",
                              "contentType, and data or url", "not both",
                              "DocumentReference.content.attachment")  # fmt: skip


def profiles(resource: Mapping[str, Any]) -> list[str]:
    """The profiles a resource claims, without versions."""
    meta = resource.get("meta")
    found = meta.get("profile") if isinstance(meta, Mapping) else None
    return [str(p).split("|")[0] for p in found] if isinstance(found, list) else []


def _money(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "currency" in value and "value" in value:
            yield where
        for key, child in value.items():
            if key in ("costToBeneficiary", "payment"):
                yield f"{where}.{key}"
            yield from _money(child, f"{where}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _money(child, f"{where}[{index}]")


def _of(resources: Resources, kind: str) -> Iterator[Mapping[str, Any]]:
    return (r for (k, _), r in resources.items() if k == kind)


def _agents(provenance: Mapping[str, Any], code: str) -> list[Mapping[str, Any]]:
    return [
        agent
        for agent in provenance.get("agent", [])
        if code in [c.get("code") for c in agent.get("type", {}).get("coding", [])]
        and agent.get("who")
    ]


def _targets(provenance: Mapping[str, Any]) -> Iterable[Key]:
    references = (t.get("reference") for t in provenance.get("target", []))
    return [key for key in map(split_reference, references) if key]
