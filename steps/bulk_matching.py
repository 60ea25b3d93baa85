"""Steps of the bulk match and of its Groups."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from pytest_bdd import given, parsers, then, when

from ..reference.fhir.pdex import CONSENT_CONSTRAINT, MATCH, NO_MATCH, RESULT_CODES
from .bulk_run import BulkMatch, bundles
from .capability import declared_operations
from .checks import answers, groups
from .seen import Seen
from .verdicts import CannotTell, CheckFailed, NotApplicable

_BULK_CANONICALS = {
    "bulk-member-match": "http://hl7.org/fhir/us/davinci-pdex/OperationDefinition/BulkMemberMatch",
    "davinci-data-export":
        "http://hl7.org/fhir/us/davinci-atr/OperationDefinition/davinci-data-export",
}  # fmt: skip


@given(parsers.re(r"the bulk match of (?:the )?(?P<batch>[a-z ]+)$"))
def bulk_match_of(seen: Seen, batch: str) -> None:
    seen.batch = seen.run.bulk.match(batch)
    seen.look_at_export(seen.batch.export)


@given(parsers.parse('the bulk match of the request "{name}"'))
def bulk_match_of_one(seen: Seen, name: str) -> None:
    seen.request = name
    seen.batch = seen.run.bulk.match_names(name)
    seen.look_at_export(seen.batch.export)


# Discovery


@when("its bulk operations are looked for")
def operations_looked_for(seen: Seen) -> None:
    seen.look_at(seen.run.capability())


@then("bulk member match is declared on Group")
def bulk_declared(seen: Seen) -> None:
    declared = declared_operations(seen.json("CapabilityStatement"), "Group")
    if "bulk-member-match" not in declared:
        raise CheckFailed("The bulk exchange is not declared.", "bulk-member-match on Group",
                          ", ".join(sorted(declared)) or "no operation",
                          "CapabilityStatement.rest.resource.operation")  # fmt: skip


@then("the bulk operations are declared with the canonicals of their guides")
def bulk_canonicals(seen: Seen) -> None:
    seen.run.bulk.require()
    found = {
        str(operation.get("name", "")): str(operation.get("definition", "")).split("|")[0]
        for rest in seen.json().get("rest", [])
        for resource in rest.get("resource", [])
        if resource.get("type") == "Group"
        for operation in resource.get("operation", [])
    }
    for name, canonical in _BULK_CANONICALS.items():
        if canonical not in found.values():
            raise CheckFailed("An operation is declared with another definition.", canonical,
                              found.get(name) or "absent",
                              "CapabilityStatement.rest.resource.operation")  # fmt: skip


@then("no bulk operation is declared")
def no_bulk_declared(seen: Seen) -> None:
    declared = declared_operations(seen.json("CapabilityStatement"), "Group")
    if declared & {"bulk-member-match", "davinci-data-export"}:
        raise CheckFailed("A payer of PDex 2.0.0 declares bulk exchange.", "no bulk operation",
                          ", ".join(sorted(declared)),
                          "CapabilityStatement.rest.resource.operation")  # fmt: skip


# The job


@then("the result is told by Group files")
def told_by_groups(seen: Seen) -> None:
    files = [f for f in seen.files() if f.type == "Group"]
    bad = [r for f in files for r in f.resources if r.get("resourceType") != "Group"]
    if not files or bad or not any(f.lines for f in files):
        raise CheckFailed("The manifest lists no file of Groups.", "an output of type Group",
                          "absent" if not files else "other resources in it",
                          "manifest.output")  # fmt: skip


@then("the result is told by a Parameters envelope")
def told_by_envelope(seen: Seen) -> None:
    if not _batch(seen).envelopes:
        raise CheckFailed("The result holds no Parameters.",
                          "Parameters with MatchedMembers", "absent", "result")  # fmt: skip
    groups.envelope_is_closed(_batch(seen))


@then("a Parameters envelope, where there is one, has the shape of the guide")
def envelope_shape(seen: Seen) -> None:
    groups.envelope_is_closed(_batch(seen))
    groups.codes_are_of_the_guide(_batch(seen))
    groups.has_group(_batch(seen), MATCH)


@then("a Parameters envelope, where there is one, tells the same members")
def envelope_same(seen: Seen) -> None:
    if not _batch(seen).envelopes:
        raise NotApplicable("The target answers with Group files only.")
    groups.envelope_is_closed(_batch(seen))
    groups.envelope_is_the_same(_batch(seen))


# Who lies where


@then("every member lies in the Group that the truth table says")
def buckets_right(seen: Seen) -> None:
    groups.buckets_are_right(_batch(seen))


@then("every member lies in the Group of matched members")
def all_matched(seen: Seen) -> None:
    groups.buckets_are_right(_batch(seen), MATCH)


@then("members whose consent cannot be honoured lie in the Group of constrained members")
def constrained_right(seen: Seen) -> None:
    if not any(s.bucket == CONSENT_CONSTRAINT for s in _batch(seen).submitted):
        raise CannotTell("The truth table has no request whose consent cannot be honoured.")
    groups.buckets_are_right(_batch(seen), CONSENT_CONSTRAINT)


@then("members with a good consent lie in the Group of matched members all the same")
def others_matched(seen: Seen) -> None:
    last = seen.export.polls[-1].status if seen.export.polls else 0
    if seen.export.result is None and last >= 400:
        raise CheckFailed("The whole bulk match failed.", "a result for every member",
                          f"status {last}", "status")  # fmt: skip
    groups.buckets_are_right(_batch(seen), MATCH)


@then("every submitted member lies in exactly one Group")
def exclusive(seen: Seen) -> None:
    groups.each_in_one(_batch(seen))


@then("there is a Group of matched members")
def matched_group(seen: Seen) -> None:
    groups.has_group(_batch(seen), MATCH)


@then("there is no other Group")
def no_other_group(seen: Seen) -> None:
    groups.only_groups(_batch(seen), MATCH)


@then("the submitted Patients are contained unchanged")
def contained_unchanged(seen: Seen) -> None:
    groups.patients_are_unchanged(_batch(seen))


@then("what may not be contained is taken out of the Patient, and nothing else")
def contained_clean(seen: Seen) -> None:
    groups.patients_are_unchanged(_batch(seen))
    groups.forbidden_is_gone(_batch(seen))


@then("each entry tells the coverage it is about")
def coverage_told(seen: Seen) -> None:
    groups.coverages_are_told(_batch(seen))


@then("no reason is told for a consent that cannot be honoured")
def no_reason(seen: Seen) -> None:
    groups.no_reason_is_told(_batch(seen))


# What a Group is


@then("every Group has a code of the guide")
def group_codes(seen: Seen) -> None:
    groups.codes_are_of_the_guide(_batch(seen))


@then("every Group is one of actual persons")
def group_types(seen: Seen) -> None:
    groups.are_of_persons(_batch(seen))


@then("every Group is managed by an Organization, if by anybody")
def group_managers(seen: Seen) -> None:
    groups.managers_are_organizations(_batch(seen))


@then("every entry points at the submitted Patient")
def group_extensions(seen: Seen) -> None:
    groups.entries_point_at_patients(_batch(seen))


@then("matched entries name the payer's Patient, and the others the submitted one")
def group_references(seen: Seen) -> None:
    groups.matched_are_own(_batch(seen))


@then("the matched Group says for whom it is and since when")
def group_characteristic(seen: Seen) -> None:
    groups.characteristic_is_told(_batch(seen), seen.run.requester.value)


# Requests that are none


@when(parsers.re(r"a bulk match is asked for (?P<flaw>with(?:out)? .+)"))
def flawed_bulk_match(seen: Seen, flaw: str) -> None:
    body = copy.deepcopy(bundles([seen.run.bulk.submitted("unique")]))
    headers = {"Prefer": "respond-async"}
    seen.run.bulk.require()
    if flaw == "without a token":
        seen.look_at(seen.run.target.post("Group/$bulk-member-match", body, headers=headers))
        return
    if flaw == "with a token for data only":
        token = seen.run.bulk.token("data")
        seen.look_at(seen.run.bulk.send(body, token=token))
        return
    _FLAWS[flaw](body)
    seen.look_at(seen.run.bulk.send(json.dumps(body).encode()))


def _without(part: str) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        for bundle in body["parameter"]:
            bundle["part"] = [p for p in bundle["part"] if p["name"] != part]

    return change


def _without_bundles(body: dict[str, Any]) -> None:
    body["parameter"] = [{"name": "SomethingElse", "valueString": "x"}]


def _with_single_shape(body: dict[str, Any]) -> None:
    body["parameter"] = body["parameter"][0]["part"]


def _with_bundle_resource(body: dict[str, Any]) -> None:
    body["resourceType"] = "Bundle"


_FLAWS: dict[str, Callable[[dict[str, Any]], None]] = {
    "without MemberPatient": _without("MemberPatient"),
    "without CoverageToMatch": _without("CoverageToMatch"),
    "without Consent": _without("Consent"),
    "without any MemberBundle": _without_bundles,
    "with the parameters of a single match": _with_single_shape,
    "with a Bundle as its body": _with_bundle_resource,
}


# Finding Groups again


@when("the matched Group is read")
def group_read(seen: Seen) -> None:
    ident = _batch(seen).matched().get("id")
    seen.look_at(seen.run.target.get(f"Group/{ident}", seen.run.bulk.token("data")))


@when("the matched Group is read without a token")
def group_read_closed(seen: Seen) -> None:
    ident = _batch(seen).matched().get("id")
    seen.look_at(seen.run.target.get(f"Group/{ident}"))


@when(parsers.parse("Groups are searched by {what}"))
def group_search(seen: Seen, what: str) -> None:
    query = _QUERIES[what](_batch(seen).matched())
    seen.look_at(seen.run.target.get(f"Group?{query}", seen.run.bulk.token("data")))


@then("the answer is the matched Group as it was told")
def group_same(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200])
    found, told = seen.json("Group"), _batch(seen).matched()
    for name in ("id", "code", "member"):
        if found.get(name) != told.get(name):
            raise CheckFailed("The Group reads otherwise than it was told.", "the Group as told",
                              f"another {name}", f"Group.{name}")  # fmt: skip


@then("the matched Group is found")
def group_found(seen: Seen) -> None:
    if _batch(seen).matched().get("id") not in [g.get("id") for g in _listed(seen)]:
        raise CheckFailed("The search does not find the matched Group.", "the matched Group",
                          f"{len(_listed(seen))} others", "Bundle.entry")  # fmt: skip


@then("only Groups of matched members are found")
def groups_matched_only(seen: Seen) -> None:
    others = [g for g in _listed(seen) if not _has_code(g, MATCH)]
    if others:
        raise CheckFailed("The search finds other Groups than it was asked for.",
                          "Groups with code match", f"{len(others)} others",
                          "Bundle.entry")  # fmt: skip


@then("no Group is found")
def groups_none(seen: Seen) -> None:
    if _listed(seen):
        raise CheckFailed("The search finds Groups that do not meet it.", "no entry",
                          f"{len(_listed(seen))} entries", "Bundle.entry")  # fmt: skip


@then("the two matches have Groups of their own, or share one")
def two_groups(seen: Seen) -> None:
    first = _batch(seen).matched()
    second = seen.run.bulk.match("one member").matched()
    token = seen.run.bulk.token("data")
    for group in (first, second):
        answers.has_status(
            seen.look_at(seen.run.target.get(f"Group/{group.get('id')}", token)), [200]
        )
    sizes = [len(group.get("member", [])) for group in (first, second)]
    if first.get("id") == second.get("id") and sizes[1] < sizes[0]:
        raise CheckFailed("A second match takes the first one's Group away.",
                          "another Group, or one that holds both", "the same id",
                          "Group.id")  # fmt: skip


def _listed(seen: Seen) -> list[dict[str, Any]]:
    answers.has_status(seen.exchange, [200])
    entries = seen.json("Bundle").get("entry", [])
    return [e["resource"] for e in entries if e.get("search", {}).get("mode") != "outcome"]


def _has_code(group: dict[str, Any], code: str) -> bool:
    codings = group.get("code", {}).get("coding", [])
    return any((c.get("system"), c.get("code")) == (RESULT_CODES, code) for c in codings)


def _identifier(group: dict[str, Any]) -> dict[str, str]:
    for identifier in group.get("identifier", []):
        if identifier.get("system") and identifier.get("value"):
            return dict(identifier)
    raise CannotTell("The matched Group has no identifier with system and value.")


def _value_reference(group: dict[str, Any]) -> str:
    for characteristic in group.get("characteristic", []):
        reference = characteristic.get("valueReference", {}).get("reference")
        if reference:
            return str(reference)
    raise CannotTell("The matched Group's characteristic has no literal reference to search by.")


_QUERIES: dict[str, Callable[[dict[str, Any]], str]] = {
    "identifier": lambda g: f"identifier={_identifier(g)['value']}",
    "system and identifier":
        lambda g: f"identifier={_identifier(g)['system']}%7C{_identifier(g)['value']}",
    "another identifier": lambda _: "identifier=no-such-group-0000",
    "characteristic": lambda _: f"characteristic={RESULT_CODES}%7C{MATCH}",
    "code": lambda _: f"code={RESULT_CODES}%7C{MATCH}",
    "one code or another": lambda _: f"code={MATCH},{NO_MATCH}",
    "two codes at once": lambda _: f"code={MATCH}&code={NO_MATCH}",
    "the reference of its characteristic":
        lambda g: f"characteristic-value-reference={_value_reference(g)}",
    "the reference of somebody else":
        lambda _: "characteristic-value-reference=Organization/no-such-organization-0000",
}  # fmt: skip


def _batch(seen: Seen) -> BulkMatch:
    if seen.batch is None:
        raise CannotTell("Nothing was matched in bulk in this scenario.")
    return seen.batch
