"""Steps of Provenance: where records come from, and that this is told on."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_bdd import given, parsers, then

from .checks import delivery, provenance
from .seen import Seen
from .verdicts import CannotTell, NotApplicable


@given(parsers.parse('the export of the request "{name}" with Observations of all times'))
def all_observations(seen: Seen, name: str) -> None:
    seen.request = name
    query = "Observation?date=ge1900-01-01"
    export = seen.run.export(name, _type="Observation", _typeFilter=query)
    seen.look_at_export(export)
    if 400 <= export.kick_off.status < 500:
        raise NotApplicable("The target refuses the type filter, as it may.")


@then("every Provenance has targets, a time, and agents and entities that are whole")
def filled(seen: Seen) -> None:
    seen.files()
    provenance.is_filled(seen.resources())


@then("every Provenance of an origin names its party and the format of its source")
def tells_origin(seen: Seen) -> None:
    seen.files()
    provenance.origins_tell_their_feed(seen.resources())


@then("every agent that is referred to is of a kind that fits its type")
def agents_fit(seen: Seen) -> None:
    seen.files()
    provenance.agents_fit_their_types(seen.resources())


@then("no agent acts on behalf of itself")
def not_for_itself(seen: Seen) -> None:
    seen.files()
    provenance.nobody_acts_for_itself(seen.resources())


@then("every Provenance is delivered that the truth table expects")
def told_on(seen: Seen) -> None:
    seen.files()
    facts = delivery.expected_keys(seen.meant(), "sent", "stripped")
    expected = [key for key in facts if key[0] == "Provenance"]
    if not expected:
        raise CannotTell("The truth table's record has no Provenance.")
    delivery.all_present(expected, seen.resources())


@then("every claim is the target of a Provenance that names its source, the plan and the format")
def claims_say_so(seen: Seen) -> None:
    seen.files()
    claims = [key for key in seen.resources() if key[0] == "ExplanationOfBenefit"]
    if not claims:
        raise CannotTell("The delivery holds no claim.")
    provenance.claims_tell_their_source(seen.resources(), claims)


@then("everything that is older than a year has a Provenance with author and format of the source")
def old_is_vouched_for(seen: Seen) -> None:
    seen.files()
    today = datetime.now(UTC).date()
    limit = today.replace(year=today.year - 1, day=min(today.day, 28)).isoformat()
    facts = delivery.expected_keys(seen.meant(), "sent", "stripped")
    old = [k for k, f in facts.items() if f.get("service_date") and f["service_date"] < limit
           and k[0] != "Coverage"]  # fmt: skip
    if not old:
        raise CannotTell("The truth table's record has nothing that is older than a year.")
    provenance.are_vouched_for(seen.resources(), old)


@then("every resource names a profile")
def profiles_named(seen: Seen) -> None:
    seen.files()
    provenance.profiles_are_named(seen.resources())
