"""Steps of access: what a token of one member opens, and what it does not."""

from __future__ import annotations

import os
import shlex
import subprocess

from pytest_bdd import parsers, then, when

from ..reference.target import AccessToken
from ..reference.trust.signing import ASSERTION_TYPE
from .delivered import Export, export_parameters
from .seen import Seen
from .verdicts import CannotTell, CheckFailed

_NOBODY = "no-such-patient-0000"


@when(parsers.parse('the record of "{other}" is searched with the token of "{name}"'))
def foreign_search(seen: Seen, other: str, name: str) -> None:
    member, token = _two(seen, other, name)
    seen.look_at(seen.run.target.get(f"Condition?patient={member}", token))


@when(parsers.parse('the record of "{other}" is exported with the token of "{name}"'))
def foreign_export(seen: Seen, other: str, name: str) -> None:
    _, token = _two(seen, other, name)
    exchange = seen.run.kick_off(other, export_parameters({}), token=token)
    seen.look_at(exchange)
    if exchange.status == 202 and exchange.header("Content-Location"):
        seen.run.target.delete(exchange.header("Content-Location"), token)


@when(parsers.parse('everything of "{other}" is asked for with the token of "{name}"'))
def foreign_everything(seen: Seen, other: str, name: str) -> None:
    seen.run.require_single()
    member, token = _two(seen, other, name)
    seen.look_at(seen.run.target.get(f"Patient/{member}/$everything", token))


@when("the record of a member who was never matched is asked for")
def never_matched(seen: Seen) -> None:
    seen.look_at(seen.run.target.get(f"Patient/{never_matched_id(seen)}", _token(seen)))


@when("a member who was never matched and one who does not exist are asked for")
def never_matched_and_nobody(seen: Seen) -> None:
    for ident in (never_matched_id(seen), _NOBODY):
        seen.look_at(seen.run.target.get(f"Patient/{ident}", _token(seen)))


@then("both answers are the same")
def answers_are_same(seen: Seen) -> None:
    first, second = seen.exchanges[-2:]
    if (first.status, first.body) != (second.status, second.body):
        raise CheckFailed(
            "A refusal tells whether a record exists.",
            "the same status and body for both",
            f"{first.status} for one and {second.status} for the other",
            "body",
        )


@when(parsers.parse('an export of "{kind}" is started with a token for "{scope}"'))
def narrow_export(seen: Seen, kind: str, scope: str) -> None:
    _, token = _narrow(seen, scope)
    exchange = seen.run.kick_off("unique", export_parameters({"_type": kind}), token=token)
    seen.look_at(exchange)


@when(parsers.parse('all is exported with a token for "{scope}"'))
def narrow_export_of_all(seen: Seen, scope: str) -> None:
    _, token = _narrow(seen, scope)
    export = Export(seen.run.kick_off("unique", export_parameters({}), token=token))
    if export.kick_off.status in (401, 403):
        raise CannotTell("The target refuses an export whose scope is narrower than all types.")
    seen.look_at_export(seen.run.follow(export, "unique"))


@when(parsers.parse('the consent of "{name}" is withdrawn and the record is exported'))
def withdrawn(seen: Seen, name: str) -> None:
    _, token = _withdraw(seen, name)
    export = Export(seen.run.kick_off(name, export_parameters({}), token=token))
    seen.look_at_export(seen.run.follow(export, name))


@when(parsers.parse('the consent of "{name}" is withdrawn and a token for the member is asked for'))
def withdrawn_token(seen: Seen, name: str) -> None:
    auth = seen.run.settings.target.auth
    if auth.member_binding == "none" or auth.method != "smart-backend-services":
        raise CannotTell("Tokens are not bound to a member: set [target.auth] member_binding.")
    member, _ = _withdraw(seen, name)
    by_subject = auth.member_binding == "sub"
    form = {
        "grant_type": "client_credentials",
        "scope": auth.data_scope,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": seen.run.target.assertion(
            claims={"sub": member} if by_subject else None
        ),
        **({} if by_subject else {"patient": member}),
    }
    seen.look_at(seen.run.target.request_token(form))


def _withdraw(seen: Seen, name: str) -> tuple[str, AccessToken]:
    """The member whose consent is withdrawn, once a run, and a token from before."""
    command = seen.run.settings.hooks.withdraw_consent
    if not command:
        raise CannotTell(
            "No command withdraws a consent: set [hooks] withdraw_consent in payer-exchange.toml."
        )

    def withdraw() -> tuple[str, AccessToken]:
        member = seen.run.member_id(name)
        token = seen.run.data_token(name)
        run_hook("withdraw_consent", command, MEMBER_ID=member)
        return member, token

    return seen.run.once(("withdrawn", name), withdraw)


def run_hook(name: str, command: str, **environment: str) -> None:
    """Run a command of the user's, told what about by its environment.

    Raises CannotTell when it fails.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, from the user's own file
            shlex.split(command),
            env={**os.environ, **environment},
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotTell(f"The command of [hooks] {name} could not be run.") from error
    if done.returncode != 0:
        raise CannotTell(f"The command of [hooks] {name} ended with status {done.returncode}.")


def _two(seen: Seen, other: str, name: str) -> tuple[str, AccessToken]:
    """Another member's id, and a token that is bound to the member named."""
    if seen.run.settings.target.auth.member_binding == "none":
        raise CannotTell(
            "Tokens are not bound to a member: set [target.auth] member_binding to sub or patient."
        )
    return seen.run.member_id(other), seen.run.data_token(name)


def _token(seen: Seen) -> AccessToken:
    return seen.run.data_token("unique")


def never_matched_id(seen: Seen) -> str:
    """A member of the truth table whom no request names, so that nobody has matched them."""
    named = {r.get("member") for r in seen.run.members["requests"]}
    for member in seen.run.members["members"]:
        if member["key"] not in named:
            return str(member["patient_id"])
    raise CannotTell(
        "Every member of the truth table is matched by a request: add one that is not."
    )


def _narrow(seen: Seen, scope: str) -> tuple[str, AccessToken]:
    auth = seen.run.settings.target.auth
    member = seen.run.member_id("unique")
    token = seen.run.target.token(scope, member=member, binding=auth.member_binding)
    return member, token
