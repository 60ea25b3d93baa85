"""Checks on what delivered resources say: money, profiles, references, documents."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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
# Types outside the Patient compartment.
SHARED = frozenset({"Location", "Medication", "Organization", "Practitioner", "PractitionerRole"})


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
