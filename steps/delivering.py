"""Steps on what is delivered: compared with the truth table, and with the rules of the guides."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import given, parsers, then

from ..reference.fhir.dates import parse_moment
from .checks import delivery, payload, provenance
from .seen import Seen, page_resources
from .verdicts import CannotTell, CheckFailed, NotApplicable

_SENT = ("sent", "stripped")


@given(parsers.parse('the export of the request "{name}" since the middle of its updates'))
def export_since_middle(seen: Seen, name: str) -> None:
    seen.request = name
    facts = delivery.expected_keys(seen.meant(), *_SENT).values()
    updates = sorted({str(f["last_updated"]) for f in facts if f.get("last_updated")})
    if len(updates) < 2:
        raise CannotTell("The truth table knows fewer than two moments of update.")
    seen.moment = updates[len(updates) // 2]
    seen.look_at_export(seen.run.export(name, _since=seen.moment))


@then("every resource is delivered that the truth table expects")
@then("everything is delivered that the truth table expects")
def all_delivered(seen: Seen) -> None:
    seen.files()
    delivery.all_present(delivery.expected_keys(seen.meant(), *_SENT), seen.resources())


@then("nothing is delivered that the truth table withholds")
def none_withheld(seen: Seen) -> None:
    seen.files()
    withheld = delivery.expected_keys(seen.meant(), "withheld")
    delivery.none_withheld(withheld, seen.resources())


@then("no denied prior authorization is delivered")
def none_denied(seen: Seen) -> None:
    seen.files()
    withheld = delivery.expected_keys(seen.meant(), "withheld")
    delivery.none_denied(withheld, seen.resources())


@then("nothing is delivered that PDex 2.1.0 caps")
def none_capped(seen: Seen) -> None:
    if not seen.run.is_capped:
        raise NotApplicable("Five years are a floor in this version, not a cap.")
    seen.files()
    old = {key: {"reason": "older than five years"}
           for key in delivery.expected_keys(seen.meant(), "capped")}  # fmt: skip
    if not old:
        raise CannotTell("The truth table's record holds nothing that is so old.")
    delivery.none_present(old, seen.resources())


@then("the prior authorizations are those that the truth table expects")
def authorizations_expected(seen: Seen) -> None:
    seen.files()
    table = seen.meant()
    found = {k for k, r in seen.resources().items()
             if k[0] == "ExplanationOfBenefit" and payload.is_authorization(r)}  # fmt: skip
    expected = {k for k in delivery.expected_keys(table, *_SENT) if k[0] == "ExplanationOfBenefit"}
    withheld = {
        k: f for k, f in delivery.expected_keys(table, "withheld").items()
        if f.get("reason") == "prior-authorization-closed"
    }  # fmt: skip
    delivery.all_present(expected, seen.resources())
    delivery.none_present(withheld, found)


@then("everything of the last five years is delivered that the truth table expects")
def five_years_delivered(seen: Seen) -> None:
    seen.files()
    today = datetime.now(UTC).date()
    floor = today.replace(year=today.year - 5, day=min(today.day, 28)).isoformat()
    expected = {
        k for k, f in delivery.expected_keys(seen.meant(), *_SENT).items()
        if (f.get("service_date") or "") >= floor
    }  # fmt: skip
    delivery.all_present(expected, seen.resources())


@then("only resources updated after it are delivered")
def only_updated(seen: Seen) -> None:
    seen.files()
    since = parse_moment(seen.moment)
    facts = delivery.expected_keys(seen.meant(), *_SENT)
    delivered = set(seen.resources())
    moments = {k: parse_moment(str(f["last_updated"])) for k, f in facts.items()}
    # What members share comes along with what refers to it, whatever its date (Bulk Data, _since).
    older = {
        k: {"reason": k[0]}
        for k, m in moments.items()
        if m and since and m <= since and k[0] not in payload.SHARED
    }
    newer = {
        k for k, m in moments.items() if m and since and m > since and k[0] not in payload.SHARED
    }
    delivery.none_present(older, delivered)
    delivery.all_present(newer, delivered)


@then(parsers.parse('the files hold resources of the types "{types}" only'))
def only_types(seen: Seen, types: str) -> None:
    seen.files()
    delivery.only_types(seen.resources(), [t.strip() for t in types.split(",")])


@then("no resource of the member is delivered")
def nothing_delivered(seen: Seen) -> None:
    if seen.export.kick_off.status in (401, 403, 404):
        return  # refused at the kick-off: nothing can be delivered
    seen.files()
    delivery.only_types(seen.resources(), ["OperationOutcome"])


@then(parsers.parse('resources of the type "{kind}" are delivered'))
def type_delivered(seen: Seen, kind: str) -> None:
    seen.files()
    if not any(k == kind for k, _ in seen.resources()):
        if seen.run.group:
            raise CannotTell(f"The Group was delivered without {kind}; whether the target has any "
                             "of it, no truth table says.")  # fmt: skip
        raise CheckFailed("A type was not delivered.", kind, "none", "delivery")


@then("both hold the same resources")
def both_same(seen: Seen) -> None:
    exported = {(str(r.get("resourceType")), str(r.get("id"))) for r in seen.export.resources()}
    paged = {(str(r.get("resourceType")), str(r.get("id"))) for r in page_resources(seen)}
    delivery.same_keys(exported, paged)


@then(parsers.parse('the Patient has an identifier of type "{code}"'))
def patient_identifier(seen: Seen, code: str) -> None:
    seen.files()
    for (kind, _), resource in seen.resources().items():
        if kind == "Patient":
            codings = [
                c.get("code") for i in resource.get("identifier", [])
                for c in i.get("type", {}).get("coding", [])
            ]  # fmt: skip
            if code not in codings:
                raise CheckFailed("The Patient has no identifier of that type.", code,
                                  ", ".join(map(str, codings)) or "none",
                                  "Patient.identifier.type")  # fmt: skip


@then("no claim holds an amount of money")
def no_money(seen: Seen) -> None:
    payload.no_money(_delivered(seen))


@then("every claim claims a CARIN Basis profile")
def claims_are_profiled(seen: Seen) -> None:
    payload.claims_are_profiled(_delivered(seen))


@then("the claims claim the five CARIN Basis profiles")
def claims_basis_profiles(seen: Seen) -> None:
    if seen.run.request(seen.request)["case"] != "K":
        raise CannotTell("The truth table does not say that this member has every kind of claim.")
    payload.claims_basis_profiles(_delivered(seen))


@then("every prior authorization claims its profile and has what it requires")
def authorizations_are_profiled(seen: Seen) -> None:
    payload.authorizations_are_profiled(_delivered(seen))


@then("the documents that prior authorizations name are delivered")
def documents_are_delivered(seen: Seen) -> None:
    payload.documents_are_delivered(_delivered(seen))


@then("a Provenance names the transmitter and what was transmitted")
def transmitter_is_named(seen: Seen) -> None:
    provenance.transmitter_is_named(_delivered(seen))


@then("every Provenance has agents with who and type")
def agents_are_complete(seen: Seen) -> None:
    provenance.agents_are_complete(_delivered(seen))


@then("every clinical resource is the target of a Provenance of author or source")
def origins_are_told(seen: Seen) -> None:
    provenance.origins_are_told(_delivered(seen))


@then("every reference leads to a resource of the delivery")
def references_resolve(seen: Seen) -> None:
    payload.references_resolve(_delivered(seen), delivery.expected_keys(seen.meant(), "capped"))


@then(parsers.parse("every {kind} claims a profile of US Core, PDex or HRex"))
def profiles_are_claimed(seen: Seen, kind: str) -> None:
    delivered = _delivered(seen)
    # What members share stands in no record: there the delivery itself is looked at.
    held = delivered if kind in payload.SHARED else delivery.expected_keys(seen.meant(), *_SENT)
    if not any(k == kind for k, _ in held):
        raise CannotTell(f"The truth table's record holds no {kind}.")
    payload.profiles_are_claimed(delivered, kind)


@then("every attachment has a content type and data or an address")
def attachments_have_content(seen: Seen) -> None:
    payload.attachments_have_content(_delivered(seen))


@then("formats of sources stand on entities, with codes of the guide")
def source_formats_are_right(seen: Seen) -> None:
    if not provenance.source_formats_are_right(_delivered(seen)):
        raise CannotTell("No Provenance of the delivery tells the format of a source.")


def _delivered(seen: Seen) -> payload.Resources:
    seen.files()
    return seen.resources()
