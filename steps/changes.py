"""Steps of what changes: records that are deleted, and a client that guesses."""

from __future__ import annotations

import copy
import secrets
from typing import Any

from pytest_bdd import given, parsers, then, when

from .access import run_hook
from .checks import delivery
from .delivered import Export, entries_in
from .other_client import OtherClient
from .seen import Seen
from .verdicts import CannotTell, CheckFailed

_CARDS = 30
_HINDERED = (401, 403, 429)


@given(parsers.parse(
    'an export of "{name}" since its last one, with an Observation deleted meanwhile'))  # fmt: skip
def export_after_deletion(seen: Seen, name: str) -> None:
    seen.request = name
    facts = delivery.expected_keys(seen.meant(), "sent")
    observations = sorted(key for key in facts if key[0] == "Observation")
    if not observations:
        raise CannotTell("The truth table's record has no Observation that could be deleted.")
    command = seen.run.settings.hooks.delete_resource
    if not command:
        raise CannotTell("No command deletes a resource: set [hooks] delete_resource in "
                         "payer-exchange.toml.")  # fmt: skip
    seen.moment = "/".join(observations[0])
    seen.look_at_export(seen.run.once(("deleted", name), lambda: _deleted(seen, name, command)))


@then("the deletion is told in a transaction that deletes")
def deletion_told(seen: Seen) -> None:
    listed = entries_in(seen.export.manifest, "deleted")
    if not listed:
        raise CheckFailed("What was deleted is not told.", "a deleted file", "none",
                          "manifest.deleted")  # fmt: skip
    told = [entry for line in _deletions(seen) for entry in entries_in(line, "entry")]
    for entry in told:
        method = (entry.get("request") or {}).get("method")
        if method != "DELETE":
            raise CheckFailed("An entry of a deleted file does not delete.", "DELETE",
                              str(method), "Bundle.entry.request.method")  # fmt: skip
    urls = {str((e.get("request") or {}).get("url", "")) for e in told}
    if not any(url.endswith(seen.moment) for url in urls):
        raise CheckFailed("What was deleted is not among what is told.", "its Type/id",
                          f"{len(urls)} others", "Bundle.entry.request.url")  # fmt: skip


@then("what was deleted is not delivered")
def not_delivered(seen: Seen) -> None:
    kind, _, ident = seen.moment.partition("/")
    if (kind, ident) in seen.resources():
        raise CheckFailed("A resource is told as deleted and is delivered.", "one of both", "both",
                          "manifest.output")  # fmt: skip


@when("another client asks for one person with card after card")
def card_after_card(seen: Seen) -> None:
    seen.run.require_pressure()
    seen.run.require_single()
    other = OtherClient(seen.run)
    for _ in range(_CARDS):
        body = copy.deepcopy(seen.run.match_body("unique"))
        _give_a_random_card(body)
        answer = seen.look_at(other.match(body))
        if answer.status in _HINDERED or answer.status == 200:
            return


@then(parsers.parse("it is told to stop before {most:d} cards are tried"))
def told_to_stop(seen: Seen, most: int) -> None:
    if seen.exchange.status not in _HINDERED:
        raise CheckFailed("Card after card may be tried for one person.",
                          f"429, or a closed door, within {most} tries",
                          str(seen.exchange.status), "status")  # fmt: skip


def _deleted(seen: Seen, name: str, command: str) -> Export:
    run = seen.run
    # What is judged of whole records elsewhere is asked for before one of them is changed.
    if run.bulk.is_offered:
        run.bulk.export(run.bulk.match("known answers"))
    before = run.export(name)
    run_hook("delete_resource", command, RESOURCE=seen.moment)
    run.forget("export", name)
    return run.export(name, _since=str(before.manifest.get("transactionTime")))


def _deletions(seen: Seen) -> list[dict[str, Any]]:
    files = [f for f in seen.export.files if f.type == "Bundle"]
    found = [line for f in files for line in f.resources]
    if any(line.get("type") != "transaction" for line in found) or not found:
        raise CheckFailed("A line of a deleted file is no transaction.", "a transaction Bundle",
                          "another resource" if found else "no line", "deleted file")  # fmt: skip
    return found


def _give_a_random_card(body: dict[str, Any]) -> None:
    number = secrets.token_hex(6).upper()
    for parameter in body["parameter"]:
        if parameter["name"] == "CoverageToMatch":
            parameter["resource"]["subscriberId"] = number
            for identifier in parameter["resource"].get("identifier", []):
                identifier["value"] = number
        elif parameter["name"] == "MemberPatient":
            # A card number that the person shows would be one more try at the right one.
            parameter["resource"].pop("identifier", None)
