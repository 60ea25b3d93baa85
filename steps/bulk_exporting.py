"""Steps of the Group export."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from pytest_bdd import given, parsers, then, when

from ..reference.fhir.dates import parse_moment
from ..reference.fhir.pdex import MATCH
from ..reference.target import AccessToken
from .access import run_hook
from .bulk_run import DATA_EXPORT, BulkMatch, for_payers
from .checks import delivery, payload
from .delivered import Export
from .seen import Seen
from .verdicts import CannotTell, CheckFailed

_SENT = ("sent", "stripped")
_NOBODY = "Patient/no-such-patient-0000"


@given(parsers.re(r"the Group export of (?:the )?(?P<batch>[a-z ]+)$"))
def group_export(seen: Seen, batch: str) -> None:
    _look_at(seen, batch, {})


@given(
    parsers.re(
        r"the Group export of (?:the )?(?P<batch>[a-z ]+) "
        r'with "(?P<name>\w+)" set to "(?P<value>[^"]+)"$'
    )
)
def group_export_with(seen: Seen, batch: str, name: str, value: str) -> None:
    _look_at(seen, batch, {name: value})


@given(parsers.parse("the Group export of the matched members for one of them and a stranger"))
def group_export_for_one(seen: Seen) -> None:
    seen.batch = seen.run.bulk.match("matched members")
    seen.moment = _first(seen.batch)
    seen.look_at_export(seen.run.bulk.export(seen.batch, patient=f"{seen.moment};{_NOBODY}"))


@given("the plain Group export of the matched members")
def plain_group_export(seen: Seen) -> None:
    seen.run.bulk.require("export")
    seen.batch = batch = seen.run.bulk.match("matched members")
    ident = str(batch.matched().get("id"))
    made = seen.run.once(
        ("plain-group-export",), lambda: seen.run.bulk.start(ident, {}, operation="export")
    )
    seen.look_at_export(made)


@given(parsers.parse('the bulk match of the requests "{one}" and "{other}"'))
def bulk_match_of_two(seen: Seen, one: str, other: str) -> None:
    seen.request = other
    seen.batch = seen.run.bulk.match_names(one, other)
    seen.look_at_export(seen.batch.export)


@when(parsers.parse('the consent of "{name}" is withdrawn and the Group is exported'))
def withdrawn_then_exported(seen: Seen, name: str) -> None:
    batch = _fresh(seen)
    _withdraw(seen, batch, name)
    ident = str(batch.matched().get("id"))
    seen.look_at_export(seen.run.bulk.start(ident, {}))


@when(
    parsers.parse(
        'the Group is exported and the consent of "{name}" is withdrawn before the download'
    )
)
def exported_then_withdrawn(seen: Seen, name: str) -> None:
    batch = _fresh(seen)
    seen.run.bulk.require(DATA_EXPORT)

    def token() -> AccessToken:
        return seen.run.bulk.token("data")

    parameters = for_payers({"resourceType": "Parameters"})
    url = f"Group/{batch.matched().get('id')}/${DATA_EXPORT}"
    started = Export(seen.run.target.kick_off(url, token(), parameters))
    location = started.kick_off.header("Content-Location")
    if started.kick_off.status != 202 or not location:
        raise CannotTell(f"The kick-off was answered {started.kick_off.status}.")
    status = urljoin(started.kick_off.url, location)
    seen.run.target.await_export(status, token, limit_s=300)
    _withdraw(seen, batch, name)
    answer = seen.look_at(seen.run.target.get(status, token(), accept="application/json"))
    if answer.status in (401, 403, 404, 410):
        # The whole export was taken back: nothing of the member can be downloaded any more.
        started.result = None
        started.failure = "The export was taken back."
        seen.look_at_export(started)
        return
    seen.look_at_export(seen.run.follow(started, token))


@then(parsers.parse('nothing is delivered of "{name}"'))
def nothing_of(seen: Seen, name: str) -> None:
    if seen.export.result is None and seen.export.failure == "The export was taken back.":
        return
    seen.files()
    member = seen.run.member(_required(seen.run.request(name), "member"))
    # What members share may be there for the other one.
    withheld = {key: {"reason": "consent withdrawn"}
                for key in delivery.expected_keys(member, *_SENT)
                if key[0] not in payload.SHARED}  # fmt: skip
    delivery.none_present(withheld, seen.resources())


@then(parsers.parse('everything is delivered of "{name}" that the truth table expects'))
def everything_of(seen: Seen, name: str) -> None:
    seen.files()
    member = seen.run.member(_required(seen.run.request(name), "member"))
    delivery.all_present(delivery.expected_keys(member, *_SENT), seen.resources())


@then("nothing is delivered")
def nothing_at_all(seen: Seen) -> None:
    seen.files()
    delivery.only_types(seen.resources(), ["OperationOutcome"])


@then("the Patients delivered are the members of the Group")
def patients_are_members(seen: Seen) -> None:
    seen.files()
    assert seen.batch is not None
    wanted = {("Patient", reference.rsplit("/", 1)[-1]) for reference in _own(seen.batch)}
    found = {key for key in seen.resources() if key[0] == "Patient"}
    if wanted != found:
        raise CheckFailed(
            "The export holds other members than the Group.",
            f"{len(wanted)} Patients, those of the Group",
            f"{len(wanted - found)} missing, {len(found - wanted)} foreign",
            "delivery",
        )


@then("the Patient delivered is that one")
def patient_is_one(seen: Seen) -> None:
    seen.files()
    found = [key[1] for key in seen.resources() if key[0] == "Patient"]
    if found != [seen.moment.rsplit("/", 1)[-1]]:
        raise CheckFailed("The export is not narrowed to the member asked for.", "one Patient",
                          f"{len(found)}, or another one", "delivery")  # fmt: skip


@then("everything is delivered that the truth table expects of the Group's members")
def group_delivered(seen: Seen) -> None:
    seen.files()
    expected = {k for m, policy in _meant(seen) for k in _facts(m, policy, *_SENT)}
    delivery.all_present(expected, seen.resources())


@then("nothing is delivered that the truth table withholds of the Group's members")
def group_withheld(seen: Seen) -> None:
    seen.files()
    delivery.none_withheld(_withheld(seen), seen.resources())


@then("no denied prior authorization of the Group's members is delivered")
def group_denied(seen: Seen) -> None:
    seen.files()
    delivery.none_denied(_withheld(seen), seen.resources())


@then("no claim of the Group holds an amount of money")
def group_money(seen: Seen) -> None:
    seen.files()
    payload.no_money(seen.resources())


@then("nothing is delivered of the Group's members that is older than five years")
def group_clamped(seen: Seen) -> None:
    seen.files()
    today = datetime.now(UTC)
    floor = today.replace(year=today.year - 5, day=min(today.day, 28))
    old = {}
    for member, policy in _meant(seen):
        for key, facts in _facts(member, policy, *_SENT).items():
            updated = parse_moment(str(facts.get("last_updated")))
            if updated and updated < floor and key[0] not in payload.SHARED:
                old[key] = {"reason": "last updated before the clamped _since"}
    if not old:
        raise CannotTell("The truth table's records hold nothing that was updated so long ago.")
    delivery.none_present(old, seen.resources())


@when(parsers.re(r"a Group export is started (?P<closed>with(?:out)? .+)"))
def closed_export(seen: Seen, closed: str) -> None:
    seen.run.bulk.require(DATA_EXPORT)
    url = f"Group/{seen.run.bulk.match('matched members').matched().get('id')}/${DATA_EXPORT}"
    token = seen.run.bulk.token("match") if closed.endswith("for the match") else None
    headers = {"Prefer": "respond-async"}
    seen.look_at(
        seen.run.target.post(
            url, for_payers({"resourceType": "Parameters"}), token, headers=headers
        )
    )


@when("a Group export of a Group that does not exist is started")
def unknown_group(seen: Seen) -> None:
    seen.run.bulk.require(DATA_EXPORT)
    url = f"Group/00000000000000000000000000000000/${DATA_EXPORT}"
    token = seen.run.bulk.token("data")
    seen.look_at(seen.run.target.kick_off(url, token, for_payers({"resourceType": "Parameters"})))


def _look_at(seen: Seen, batch: str, options: Mapping[str, str]) -> None:
    seen.batch = seen.run.bulk.match(batch)
    seen.look_at_export(seen.run.bulk.export(seen.batch, **options))


def _fresh(seen: Seen) -> BulkMatch:
    """The two requests matched anew: an earlier scenario may have withdrawn a consent."""
    names = [s.name for s in seen.batch.submitted] if seen.batch else []
    seen.run.forget("bulk-match-of", *names)
    seen.batch = batch = seen.run.bulk.match_names(*names)
    return batch


def _withdraw(seen: Seen, batch: BulkMatch, name: str) -> None:
    command = seen.run.settings.hooks.withdraw_consent
    if not command:
        raise CannotTell(
            "No command withdraws a consent: set [hooks] withdraw_consent in payer-exchange.toml."
        )
    patient = next(s.patient["id"] for s in batch.submitted if s.name == name)
    for entry in batch.entries():
        if entry.code == MATCH and entry.patient_id == patient:
            run_hook("withdraw_consent", command, MEMBER_ID=entry.reference.rsplit("/", 1)[-1])
            return
    raise CannotTell("The bulk match did not find the member whose consent is to be withdrawn.")


def _own(batch: BulkMatch) -> list[str]:
    """The payer's own Patients in the matched Group."""
    return sorted({e.reference for e in batch.entries() if e.code == MATCH})


def _first(batch: BulkMatch) -> str:
    found = _own(batch)
    if not found:
        raise CannotTell("Nobody is told as matched, so no export can be narrowed to one member.")
    return found[0]


def _meant(seen: Seen) -> list[tuple[Mapping[str, Any], str]]:
    """The members of the Group as the truth table knows them, each with the consent's policy.

    The narrower policy counts where a member was submitted with both.
    """
    assert seen.batch is not None
    policies: dict[str, set[str]] = {}
    for submitted in seen.batch.submitted:
        if submitted.bucket == MATCH and submitted.member:
            terms = seen.run.request(submitted.name)["consent"]
            policies.setdefault(submitted.member, set()).add(terms.get("policy", "regular"))
    if not policies:
        raise CannotTell("Nobody of this batch is a member whom the truth table knows.")
    # Submitted under both policies, either may count: what only one of them lets go is left out.
    return [(seen.run.member(key), "either" if len(found) > 1 else found.pop())
            for key, found in sorted(policies.items())]  # fmt: skip


def _withheld(seen: Seen) -> dict[delivery.Key, Mapping[str, Any]]:
    return {
        key: facts
        for member, policy in _meant(seen)
        for key, facts in _facts(member, policy, "withheld").items()
    }


def _facts(
    member: Mapping[str, Any], policy: str, *states: str
) -> dict[delivery.Key, Mapping[str, Any]]:
    """What of a record is in the states, under a policy; sensitive records move with it."""
    sensitive = {k: f for k, f in delivery.expected_keys(member, "withheld").items()
                 if f.get("reason") == "sensitive"}  # fmt: skip
    found = {k: f for k, f in delivery.expected_keys(member, *states).items()
             if k not in sensitive}  # fmt: skip
    goes_along = ("withheld" in states) == (policy == "regular")
    return found | sensitive if goes_along and policy != "either" else found


def _required(content: Mapping[str, Any], name: str) -> str:
    if not content.get(name):
        raise CannotTell("The match request of this scenario means no member.")
    return str(content[name])
