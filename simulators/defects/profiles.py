"""Defects of what resources claim to be: they are sent, and are not it."""

from __future__ import annotations

from typing import Any

from ..responding import RespondingSimulator
from .payload import LESS, NEVER, is_a, rewriting, rewritten, without
from .registry import change_json, change_lines, defect

Resource = dict[str, Any]
_US_CORE_311 = "http://hl7.org/fhir/us/core/ImplementationGuide/hl7.fhir.us.core|3.1.1"
_PDEX_DISPENSE = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-medicationdispense"
_WHEN, _ACTION = "base-ext-when-adjudicated", "extension-reviewAction"


def _is_authorization(resource: Resource) -> bool:
    return is_a(resource, "ExplanationOfBenefit") and resource.get("use") == "preauthorization"


def _adjudications(resource: Resource) -> list[Resource]:
    items = resource.get("item", []) if _is_authorization(resource) else []
    return [part for item in items for part in item.get("adjudication", [])]


def _no_date(resource: Resource) -> None:
    if is_a(resource, "Patient"):
        resource["birthDate"] = "the first of May"


def _no_code(resource: Resource) -> None:
    if is_a(resource, "Condition"):
        resource.pop("code", None)


def _other_category(resource: Resource) -> None:
    if is_a(resource, "Observation"):
        resource["category"] = [{"text": "a category of our own"}]


def _nameless(resource: Resource) -> None:
    if is_a(resource, "Practitioner"):
        resource.pop("name", None)


def _date_as_text(resource: Resource) -> None:
    for part in _adjudications(resource):
        for extension in part.get("extension", []):
            if extension["url"].endswith(_WHEN):
                extension.pop("valueDateTime", None)
                extension["valueString"] = "yesterday"


def _own_total(resource: Resource) -> None:
    if _is_authorization(resource):
        resource["total"] = [{"amount": {"value": 1}}]


def _without_extension(resource: Resource, name: str) -> None:
    for part in _adjudications(resource):
        kept = [e for e in part.get("extension", []) if not e["url"].endswith(name)]
        part.pop("extension", None)
        if kept:
            part["extension"] = kept


def _own_support(resource: Resource) -> None:
    for info in resource.get("supportingInfo", []) if _is_authorization(resource) else []:
        info["category"] = {"text": "an attachment"}


def _empty_binary(resource: Resource) -> None:
    if is_a(resource, "Binary"):
        resource.pop("data", None)


def _drug_as_procedure(resource: Resource) -> None:
    if is_a(resource, "Procedure"):
        coding = {"system": "http://hl7.org/fhir/sid/ndc", "code": "0000-0000-00"}
        resource["code"] = {"coding": [coding]}


def _pdex_dispense(resource: Resource) -> None:
    if is_a(resource, "MedicationDispense"):
        resource["meta"]["profile"] = [_PDEX_DISPENSE]


def _placeholder(resource: Resource) -> None:
    if is_a(resource, "Immunization"):
        resource["lotNumber"] = "N/A"


def _older(resource: Resource) -> None:
    if is_a(resource, "Patient"):
        resource["meta"]["lastUpdated"] = "2001-01-01T00:00:00Z"


def _own_version(resource: Resource) -> None:
    for agent in resource.get("agent", []) if is_a(resource, "Provenance") else []:
        agent["who"] = {"reference": "Organization/payer?version=2"}


_MISSING = ("pdex-80", "hrex-conf-3")
rewriting("PF-base", "A birth date is words", _no_date, "pdex-119",
          also=("pdex-97", "hrex-mm-8", "pdex-202"))  # fmt: skip
rewriting("PF-code", "Conditions have no code", _no_code, *_MISSING, also=(*NEVER, "pdex-97"))
rewriting("PF-category", "Observations have a category of the payer's own", _other_category,
          "pdex-97", also=_MISSING)  # fmt: skip
rewriting("PF-nameless", "Practitioners have no name", _nameless, "hrex-conf-8",
          also=(*_MISSING, "pdex-97"))  # fmt: skip
rewriting("PF-adjudication", "The date of a decision is words", _date_as_text,
          "pdex-pa-adjudication", also=("pdex-97", "pdex-119"))  # fmt: skip
rewriting("PF-total", "The totals of a prior authorization are of the payer's own", _own_total,
          "pdex-pa-utilization", also=(*_MISSING, "pdex-97", "pdex-119"))  # fmt: skip
rewriting("PF-when", "A prior authorization does not tell when it was decided",
          lambda r: _without_extension(r, _WHEN), "pdex-pa-adjdate", also=LESS)  # fmt: skip
rewriting("PF-action", "A prior authorization does not tell how it was decided",
          lambda r: _without_extension(r, _ACTION), "pdex-pa-reviewaction", also=LESS)  # fmt: skip
rewriting("PF-support", "Documents hang on under a category of the payer's own", _own_support,
          "pdex-pa-docs", also=("pdex-97",))  # fmt: skip
rewriting("PF-binary", "A Binary has no data", _empty_binary, "pdex-239")
rewriting("PF-drug", "A drug is a Procedure", _drug_as_procedure, "pdex-40", "pdex-41",
          also=("pdex-97",))  # fmt: skip
rewriting("PF-dispense", "Dispenses are of the profile of PDex on the footing of US Core 6.1.0",
          _pdex_dispense, "pdex-03", also=(*_MISSING, "pdex-97"))  # fmt: skip
rewriting("PF-placeholder", "A word stands for a number that is not known", _placeholder,
          "pdex-106")  # fmt: skip
rewriting("PF-older", "An older version of the Patient is delivered", _older, "pdex-387")
rewriting("PF-version", "A version is named in a way of the payer's own", _own_version, "pdex-390",
          also=("pdex-127", "pdex-42"))  # fmt: skip
without(
    "PF-payload",
    "Prior authorizations come without claims",
    lambda r: not (is_a(r, "ExplanationOfBenefit") and r.get("use") == "claim"),
    "pdex-135",
    also=(
        "pdex-156",
        "pdex-167",
        "pdex-79",
        "pdex-revocation-responder",
    ),
)


def _less(name: str) -> Any:
    """Immunizations without an element that the data has."""

    def change(resource: Resource) -> None:
        if is_a(resource, "Immunization"):
            resource.pop(name, None)

    return change


def _some_less(resource: Resource) -> None:
    if is_a(resource, "Encounter") and resource["id"].endswith("1"):
        resource.pop("location", None)


def _hollow(resource: Resource) -> None:
    for telecom in resource.get("telecom", []) if is_a(resource, "Patient") else []:
        telecom.pop("use", None)


def _no_review(resource: Resource) -> None:
    if _is_authorization(resource):
        for part in (resource, *resource["item"]):
            kept = [e for e in part.get("extension", []) if not e["url"].endswith(_OF_PAS_221)]
            part.pop("extension", None)
            if kept:
                part["extension"] = kept


_OF_PAS_221 = ("claimResponseReviewer", "admissionDates", "dischargeDate")
rewriting("PF-supported", "Immunizations never tell whether their source is primary",
          _less("primarySource"), *NEVER, "pdex-81")  # fmt: skip
rewriting("PF-optional", "Some encounters come without the place that the data has", _some_less,
          "pdex-81", also=(*NEVER, "pdex-82", "pdex-97"))  # fmt: skip
rewriting("PF-children", "Telephones come without what they are used for", _hollow, "pdex-82",
          also=(*NEVER, "pdex-81"))  # fmt: skip
rewriting("PF-review", "Prior authorizations come without reviewer and stay", _no_review,
          "pdex-pa-pas221")  # fmt: skip


@defect("PF-footing", "Dispenses are of the profile of US Core on the footing of US Core 3.1.1",
        "pdex-02")  # fmt: skip
def old_footing(simulator: RespondingSimulator) -> None:
    change_json(simulator, "metadata", lambda c: c.update(implementationGuide=[_US_CORE_311]))


@defect("PF-code-210", "Under PDex 2.1.0, too, Conditions have no code",
        "pdex-v210-mapping-should", version="2.1.0",
        also=(*NEVER, *_MISSING, "pdex-97"))  # fmt: skip
def no_code_before(simulator: RespondingSimulator) -> None:
    _change_each(simulator, _no_code)


@defect(
    "PF-payload-210",
    "Under PDex 2.1.0, too, prior authorizations come without documents",
    "pdex-v210-payload-should",
    version="2.1.0",
    also=(
        "atr-response-rules",
        "bulk-man-08",
        "bulk-man-09",
        "bulk-out-14",
        "bulk-out-17",
        "bulk-param-05",
        "pdex-156",
        "pdex-167",
        "pdex-168",
        "pdex-179",
        "pdex-210",
        "pdex-239",
        "pdex-revocation-responder",
        "pdex-133",
        "pdex-134",
        "pdex-135",
        "ref-01",
    ),
)
def no_documents_before(simulator: RespondingSimulator) -> None:
    kinds = (b'"resourceType":"DocumentReference"', b'"resourceType":"QuestionnaireResponse"')
    change_lines(simulator, lambda lines: [x for x in lines if not any(k in x for k in kinds)])


def _change_each(simulator: RespondingSimulator, change: Any) -> None:
    change_lines(simulator, lambda lines: [rewritten(line, change) for line in lines])
