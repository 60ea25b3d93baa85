"""Checks of what delivered resources claim to be, by the profile validator."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...reference.fhir.references import references_in, split_reference
from ...reference.validation.coverage import Supported
from ...reference.validation.findings import Finding
from ...reference.validation.validator import Validator
from ..verdicts import CannotTell, CheckFailed, NotApplicable
from .options import attachment_urls
from .payload import PRIOR_AUTHORIZATION, Resources, is_authorization, profiles
from .provenance import CLINICAL

R4 = "http://hl7.org/fhir/StructureDefinition/"
_US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
# Rules of the validator by which something is missing.
_MISSING = frozenset({"min", "slice-min"})
_NAMED_AT_MOST = 5
_NOT_CLINICAL = ("http://hl7.org/fhir/sid/ndc", "https://www.nubc.org/CodeSystem/RevenueCodes")
_HCPCS = ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
          "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets")  # fmt: skip
# HCPCS level II: medical and surgical supplies, and equipment.
_SUPPLY = re.compile(r"[AEK]\d{4}")
_PLACEHOLDER = re.compile(r"(n/?a|null|none|nil|tbd|-+|\?+|not available|not applicable|xxx+)",
                          re.IGNORECASE)  # fmt: skip
_SAYS_IN_WORDS = frozenset({"display", "text", "div", "title", "description", "comment"})
_VERSIONED = re.compile(r"(.*/)?[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}/_history/[A-Za-z0-9.-]{1,64}")


class Judged:
    """The findings of delivered resources, each judged once."""

    def __init__(self) -> None:
        self._validator = Validator()
        self._known: dict[tuple[str, str], list[Finding]] = {}
        self._supported: dict[str, list[Supported]] = {}

    def errors(self, resources: Resources) -> Iterator[tuple[Mapping[str, Any], Finding]]:
        """Each error of each resource, by its type and the profiles that it claims."""
        for key, resource in resources.items():
            if key not in self._known:
                found = self._validator.validate(dict(resource), resolve=_among(resources))
                self._known[key] = [f for f in found if f.severity == "error"]
            yield from ((resource, finding) for finding in self._known[key])

    def against(self, resource: Mapping[str, Any], profile: str) -> list[Finding]:
        """The errors of a resource by its type and one profile."""
        found = self._validator.validate(dict(resource), [profile])
        return [f for f in found if f.severity == "error"]

    def profiles_of(self, resource: Mapping[str, Any]) -> list[str]:
        """The profiles that a resource claims and whose tables are here, as canonical|version."""
        whole = dict(resource)
        met = self._validator.examine(whole).met
        return [profile for one, profile in met if one is whole]

    def supported(self, profile: str) -> list[Supported]:
        """The must-support elements of a profile that a path tells."""
        if profile not in self._supported:
            self._supported[profile] = self._validator.coverage().supported(profile)
        return self._supported[profile]


def are_r4(judged: Judged, resources: Resources) -> None:
    """Every resource is what the specification says of its type (pdex-119)."""
    if not resources:
        raise CannotTell("Nothing was delivered.")
    # By the type alone: what a claimed profile repeats of it is found in the profile's name.
    _fail_for((f for r in resources.values() for f in judged.against(r, _type_of(r))),
              "Resources are not FHIR R4.")  # fmt: skip


def nothing_is_missing(judged: Judged, resources: Resources) -> None:
    """Nothing is missing that a type or a claimed profile requires (pdex-80, hrex-conf-3)."""
    _none(judged, resources, lambda f: f.rule in _MISSING, "Required elements are missing.")


def are_what_they_claim(judged: Judged, resources: Resources) -> None:
    """Every resource is as the profiles it claims say (pdex-97)."""
    _none(judged, resources, lambda f: not f.profile.startswith(R4),
          "Resources are not what they claim to be.")  # fmt: skip


def authorizations_are_right(judged: Judged, resources: Resources, element: str) -> None:
    """Nothing is wrong with an element of prior authorizations by their profile."""
    held = _authorizations(resources)
    wrong = [
        f for r in held for f in judged.against(r, PRIOR_AUTHORIZATION)
        if f"/{element}" in f.pointer
    ]  # fmt: skip
    _fail_for(wrong, f"The {element} of prior authorizations is not as their profile says.")


def shared_are_us_core(judged: Judged, resources: Resources) -> None:
    """What records refer to is as US Core says of its type (hrex-conf-8)."""
    kinds = ("Practitioner", "PractitionerRole", "Organization", "Location")
    held = [r for (kind, _), r in resources.items() if kind in kinds]
    if not held:
        raise CannotTell("The delivery holds nobody and nothing that records refer to.")
    wrong = [f for r in held
             for f in judged.against(r, _US_CORE + str(r["resourceType"]).lower())]  # fmt: skip
    _fail_for(wrong, "What records refer to is not as US Core says.")


def have_extension(resources: Resources, name: str) -> None:
    """At least one prior authorization has the extension somewhere."""
    held = _authorizations(resources)
    if not any(url.rsplit("/", 1)[-1] == name for r in held for url in _extension_urls(r)):
        raise CheckFailed("No prior authorization has an extension of its profile.", name, "absent",
                          "ExplanationOfBenefit.item.adjudication.extension")  # fmt: skip


def documents_are_categorized(resources: Resources, category: str) -> None:
    """Every document in supportingInfo stands there under the category (pdex-pa-docs)."""
    named = [
        info for r in _authorizations(resources) for info in r.get("supportingInfo", [])
        if (split_reference((info.get("valueReference") or {}).get("reference"))
            or ("", ""))[0] == "DocumentReference"
    ]  # fmt: skip
    if not named:
        raise CannotTell("No prior authorization of the delivery names a document.")
    for info in named:
        codes = [c.get("code") for c in (info.get("category") or {}).get("coding", [])]
        if category not in codes:
            raise CheckFailed("A document hangs on under another category.", category,
                              ", ".join(map(str, codes)) or "none",
                              "ExplanationOfBenefit.supportingInfo.category")  # fmt: skip


def payload_is_whole(resources: Resources) -> None:
    """Clinical data, claims and prior authorizations with documents are there (pdex-135)."""
    claims = [r for (kind, _), r in resources.items() if kind == "ExplanationOfBenefit"]
    held = {
        "clinical data": any(kind in CLINICAL for kind, _ in resources),
        "claims": any(not is_authorization(r) for r in claims),
        "prior authorizations": any(is_authorization(r) for r in claims),
        "documents": any(kind in ("DocumentReference", "QuestionnaireResponse")
                         for kind, _ in resources),
    }  # fmt: skip
    lacking = [name for name, is_there in held.items() if not is_there]
    if lacking:
        raise CheckFailed("A part of the payload was not delivered.", ", ".join(held),
                          f"without {', '.join(lacking)}", "delivery")  # fmt: skip


def claims_of(resources: Resources, name: str) -> None:
    """A claim of the profile is delivered (pdex-79)."""
    held = {p.rsplit("/", 1)[-1] for (kind, _), r in resources.items()
            if kind == "ExplanationOfBenefit" for p in profiles(r)}  # fmt: skip
    if name not in held:
        raise CheckFailed("No claim of a kind was delivered.", name, ", ".join(sorted(held)),
                          "ExplanationOfBenefit.meta.profile")  # fmt: skip


def content_is_in_a_binary(resources: Resources) -> None:
    """A Binary with data is delivered that a DocumentReference names (pdex-239)."""
    named = {split_reference(url) for url in attachment_urls(resources.values())}
    if not any(key in named and r.get("data") for key, r in resources.items()
               if key[0] == "Binary"):  # fmt: skip
        raise CheckFailed("No document's content was delivered as a Binary.",
                          "a Binary with data, named by a DocumentReference", "none",
                          "DocumentReference.content.attachment")  # fmt: skip


def procedures_are_clinical(resources: Resources) -> None:
    """No Procedure has but codes of drugs, charges or supplies (pdex-40, pdex-41)."""
    held = [r for (kind, _), r in resources.items() if kind == "Procedure"]
    if not held:
        raise CannotTell("The delivery holds no Procedure.")
    other = sum(1 for r in held if not _is_clinical(r))
    if other:
        raise CheckFailed("A Procedure is a drug, a charge or a supply.", "clinical procedures",
                          f"{other} of {len(held)} are not", "Procedure.code")  # fmt: skip


def dispenses_are_of(resources: Resources, name: str) -> None:
    """Every MedicationDispense claims the profile (pdex-02, pdex-03)."""
    held = [r for (kind, _), r in resources.items() if kind == "MedicationDispense"]
    if not held:
        raise CannotTell("The delivery holds no MedicationDispense.")
    other = sum(1 for r in held if not any(p.endswith(f"/{name}") for p in profiles(r)))
    if other:
        raise CheckFailed("A dispense claims another profile.", name,
                          f"{other} of {len(held)} claim another",
                          "MedicationDispense.meta.profile")  # fmt: skip


def nothing_stands_in(resources: Resources) -> None:
    """No value is a word for there being none (pdex-106)."""
    found = Counter(
        f"{kind}.{where}" for (kind, _), r in resources.items() for where in _placeholders(r, "")
    )
    if found:
        raise CheckFailed("A text stands in for a value that is not there.", "no element",
                          ", ".join(sorted(found)[:_NAMED_AT_MOST]), "delivery")  # fmt: skip


def versions_are_named(resources: Resources) -> None:
    """References that name a version do so as type/id/_history/version (pdex-390)."""
    named = [ref for r in resources.values() for ref in references_in(r)
             if "_history" in ref or "?version" in ref or "|" in ref]  # fmt: skip
    if not named:
        raise NotApplicable("No reference of the delivery names a version.")
    other = sum(1 for reference in named if not _VERSIONED.fullmatch(reference))
    if other:
        raise CheckFailed("A reference names a version in another form.",
                          "Type/id/_history/version", f"{other} of {len(named)} otherwise",
                          "reference")  # fmt: skip


def _none(
    judged: Judged, resources: Resources, is_meant: Callable[[Finding], bool], words: str
) -> None:
    if not resources:
        raise CannotTell("Nothing was delivered.")
    _fail_for([f for _, f in judged.errors(resources) if is_meant(f)], words)


def _type_of(resource: Mapping[str, Any]) -> str:
    return f"{R4}{resource.get('resourceType')}"


def _fail_for(wrong: Iterable[Finding], words: str) -> None:
    """Fail with the places that are wrong, the most frequent first; they name no value."""
    places = Counter((f.path, f.expected, f.actual, f.profile) for f in wrong)
    if not places:
        return
    (path, expected, _, profile), _ = places.most_common(1)[0]
    told = "; ".join(f"{n} x {p[0]}: {p[2]}, not {p[1]}"
                     for p, n in places.most_common(_NAMED_AT_MOST))  # fmt: skip
    more = f", and {len(places) - _NAMED_AT_MOST} more" if len(places) > _NAMED_AT_MOST else ""
    raise CheckFailed(words, f"{expected} ({profile})", f"{told}{more}", path)


def _authorizations(resources: Resources) -> list[Mapping[str, Any]]:
    held = [r for (kind, _), r in resources.items()
            if kind == "ExplanationOfBenefit" and is_authorization(r)]  # fmt: skip
    if not held:
        raise CannotTell("The delivery holds no prior authorization.")
    return held


def _among(resources: Resources) -> Callable[[str], dict[str, Any] | None]:
    def resolve(reference: str) -> dict[str, Any] | None:
        key = split_reference(reference)
        found = resources.get(key) if key else None
        return dict(found) if found else None

    return resolve


def _extension_urls(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for extension in value.get("extension", []):
            yield str(extension.get("url", ""))
        for child in value.values():
            yield from _extension_urls(child)
    elif isinstance(value, list):
        for child in value:
            yield from _extension_urls(child)


def _is_clinical(procedure: Mapping[str, Any]) -> bool:
    codings = (procedure.get("code") or {}).get("coding", [])
    return not codings or any(
        c.get("system") not in _NOT_CLINICAL
        and not (c.get("system") in _HCPCS and _SUPPLY.fullmatch(str(c.get("code"))))
        for c in codings
    )


def _placeholders(value: Any, where: str) -> Iterator[str]:
    """Where a text is a word for nothing, but where words may be said at all."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            if name not in _SAYS_IN_WORDS:
                yield from _placeholders(child, f"{where}.{name}".lstrip("."))
    elif isinstance(value, list):
        for child in value:
            yield from _placeholders(child, where)
    elif isinstance(value, str) and _PLACEHOLDER.fullmatch(value.strip() or "-"):
        yield where
