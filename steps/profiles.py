"""Steps of profiles: is what is delivered what it claims to be."""

from __future__ import annotations

from pytest_bdd import parsers, then

from ..reference.fhir.dates import parse_moment
from .checks import answers, must_support, payload
from .checks import profiles as check
from .seen import Seen
from .verdicts import CannotTell, CheckFailed, NotApplicable

_US_CORE_IG = "hl7.org/fhir/us/core/ImplementationGuide"
_SERVER = "CapabilityStatement/us-core-server"


@then("every resource is as FHIR R4 says")
def are_r4(seen: Seen) -> None:
    check.are_r4(seen.run.judged, _delivered(seen))


@then("nothing is missing that a claimed profile requires")
def nothing_missing(seen: Seen) -> None:
    check.nothing_is_missing(seen.run.judged, _delivered(seen))


@then("every resource that claims a profile is as it says")
def as_claimed(seen: Seen) -> None:
    check.are_what_they_claim(seen.run.judged, _delivered(seen))


@then("every Practitioner, PractitionerRole, Organization and Location is as US Core says")
def shared_as_us_core(seen: Seen) -> None:
    check.shared_are_us_core(seen.run.judged, _delivered(seen))


@then(parsers.parse('the "{element}" of prior authorizations is as their profile says'))
def authorizations_right(seen: Seen, element: str) -> None:
    check.authorizations_are_right(seen.run.judged, _delivered(seen), element)


@then(parsers.parse('a prior authorization has the extension "{name}"'))
def authorization_extension(seen: Seen, name: str) -> None:
    check.have_extension(_delivered(seen), name)


@then(parsers.parse('documents are named in supportingInfo with the category "{category}"'))
def documents_categorized(seen: Seen, category: str) -> None:
    check.documents_are_categorized(_delivered(seen), category)


@then("clinical data, claims, prior authorizations and their documents are delivered")
def payload_whole(seen: Seen) -> None:
    check.payload_is_whole(_delivered(seen))


@then(parsers.parse('a claim of the profile "{name}" is delivered'))
def claim_of_profile(seen: Seen, name: str) -> None:
    check.claims_of(_delivered(seen), name)


@then("a Binary with data is delivered that a DocumentReference names")
def in_a_binary(seen: Seen) -> None:
    check.content_is_in_a_binary(_delivered(seen))


@then("no Procedure is coded as a drug, a charge or a supply")
def clinical_procedures(seen: Seen) -> None:
    check.procedures_are_clinical(_delivered(seen))


@then(parsers.parse('every MedicationDispense is of "{name}" on the footing of "{version}"'))
def dispenses(seen: Seen, name: str, version: str) -> None:
    declared = _footing(seen)
    # What stands on a later version is held to what the later one prefers.
    is_old = declared.startswith("3.")
    if is_old != (version == "3.1.1"):
        raise NotApplicable(f"The target stands on US Core {declared or 'of a later version'}.")
    check.dispenses_are_of(_delivered(seen), name)


@then("no text stands in for a value that is not there")
def nothing_stands_in(seen: Seen) -> None:
    check.nothing_stands_in(_delivered(seen))


@then("the Patient delivered is as new as the one that is read")
def as_new(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200])
    read = seen.json("Patient")
    exported = _delivered(seen).get(("Patient", str(read.get("id"))), {})
    moments = [parse_moment(str((r.get("meta") or {}).get("lastUpdated") or ""))
               for r in (exported, read)]  # fmt: skip
    if None in moments:
        raise CannotTell("The Patient does not tell when it was updated (meta.lastUpdated).")
    if moments[0] < moments[1]:  # type: ignore[operator]
        raise CheckFailed("An older version was delivered than is read.", "the newest version",
                          "an older one", "Patient.meta.lastUpdated")  # fmt: skip


@then('a reference to a version has the form "Type/id/_history/version"')
def versioned_references(seen: Seen) -> None:
    check.versions_are_named(_delivered(seen))


@then("every must-support element that the data has is delivered at least once")
def must_support_once(seen: Seen) -> None:
    must_support.can_be_populated(seen.run.judged, _pairs(seen))


@then("every must-support element that the data has of the profiles the target names is delivered")
def must_support_named(seen: Seen) -> None:
    rest = seen.run.capability_statement().get("rest") or []
    named = {str(canonical).partition("|")[0] for part in rest
             for resource in part.get("resource") or []
             for canonical in resource.get("supportedProfile") or []}  # fmt: skip
    # A payer that names none stands by those that its resources claim.
    must_support.can_be_populated(seen.run.judged, _pairs(seen), named or None)


@then("optional must-support elements are delivered wherever the data has them")
def must_support_filled(seen: Seen) -> None:
    must_support.are_populated(seen.run.judged, _pairs(seen))


@then("what is delivered has the must-support children that the data has")
def must_support_children(seen: Seen) -> None:
    must_support.children_are_filled(seen.run.judged, _pairs(seen))


@then("prior authorizations have the extensions of PAS 2.2.1 that the data has")
def pas_extensions(seen: Seen) -> None:
    must_support.pas_extensions_come(_pairs(seen))


def _pairs(seen: Seen) -> list[must_support.Pair]:
    return must_support.pairs(seen.run.judged, _delivered(seen), seen.meant())


def _delivered(seen: Seen) -> payload.Resources:
    seen.files()
    return seen.resources()


def _footing(seen: Seen) -> str:
    """The version of US Core that the CapabilityStatement names; empty when it names none."""
    statement = seen.run.capability_statement()
    named = [str(c) for part in ("implementationGuide", "instantiates", "imports")
             for c in statement.get(part) or [] if isinstance(c, str)]  # fmt: skip
    found = (c.partition("|")[2] for c in named if _US_CORE_IG in c or _SERVER in c)
    return next((version for version in found if version), "")
