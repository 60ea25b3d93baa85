"""Only a SHALL turns a run red."""

import pytest
from payer_exchange.reports.catalogue import catalogue, conflicts
from payer_exchange.steps.session import JudgeSession
from payer_exchange.steps.verdicts import CannotTell, CheckFailed, NotApplicable


def with_strength(*strengths):
    return tuple(next(r.id for r in catalogue() if r.strength == s) for s in strengths)


@pytest.mark.parametrize(
    ("strengths", "verdict"),
    [
        (("SHALL",), "fail"),
        (("SHALL NOT",), "fail"),
        (("SHOULD",), "warn"),
        (("MAY",), "warn"),
        (("SHOULD", "SHALL"), "fail"),
        ((), "fail"),
    ],
)
def test_a_failed_check_fails_only_by_a_shall(strengths, verdict):
    found = JudgeSession._verdict(CheckFailed("No."), with_strength(*strengths))
    assert found[0] == verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, "pass"),
        (CannotTell("."), "skip"),
        (NotApplicable("."), "omit"),
        (KeyError(), "error"),
    ],
)
def test_what_else_can_happen(error, verdict):
    assert JudgeSession._verdict(error, with_strength("SHALL"))[0] == verdict


@pytest.mark.parametrize("conflict", conflicts(), ids=lambda c: c.id)
def test_one_reading_alone_turns_no_run_red(conflict):
    found = JudgeSession._verdict(CheckFailed("No."), with_strength("SHALL"), [conflict.tag])
    assert found == ("warn", f"No. Sources disagree: {conflict.topic}.")
