"""Attestations: questions, answers, and how they are reported."""

from dataclasses import replace
from datetime import date

import pytest
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reports.attestations import (
    Attestation,
    attested,
    questions,
    read_attestations,
    template,
)
from payer_exchange.reports.findings import coverage
from payer_exchange.reports.results import RequirementResult

TODAY = date(2026, 11, 20)
SAID = Attestation(True, "Privacy policy 4.2", "The privacy office", TODAY)


def row(strength="SHALL", verdict="not_tested"):
    return RequirementResult("cms0057-education", strength, "responding", "opt-in", verdict)


def test_every_question_of_a_role_is_in_its_file_and_can_be_answered(tmp_path) -> None:
    asked = questions("responding")
    assert len(asked) > 20
    lines = template("responding", TODAY).splitlines()
    # Each answer, with its hash marks taken away and its texts filled in.
    marks = ("# [", "# met", "# evidence", "# by", "# on")
    given = "\n".join(line[2:].replace('""', '"somewhere"') for line in lines
                      if line.startswith(marks))  # fmt: skip
    path = tmp_path / "answers.toml"
    path.write_text(given, encoding="utf-8")
    found = read_attestations(path)
    assert set(found) == {question.id for question in asked}
    assert all(answer.met and answer.on == TODAY for answer in found.values())


def test_an_answer_is_attested_and_never_a_pass(make_results) -> None:
    told = attested(make_results(requirements=[row()]), {"cms0057-education": SAID})
    [found] = told.requirements
    assert found.verdict == "attested"
    assert "Privacy policy 4.2 (The privacy office, 2026-11-20)" in found.reason
    [chapter] = coverage(told)
    assert (chapter.counts["attested"], chapter.counts["pass"]) == (1, 0)


@pytest.mark.parametrize(("strength", "verdict", "status"), [("SHALL", "fail", 1),
                                                             ("SHOULD", "warn", 0)])  # fmt: skip
def test_who_says_that_it_is_not_met_is_believed(
    strength, verdict, status, found, make_results
) -> None:
    results = make_results(found.scenarios[0], requirements=[row(strength)])
    assert results.exit_status == 0
    told = attested(results, {"cms0057-education": replace(SAID, met=False)})
    assert told.requirements[0].verdict == verdict
    assert told.exit_status == status


def test_what_was_judged_is_not_answered_away(make_results) -> None:
    judged = replace(row(verdict="fail"), scenarios=("4-export/kick-off",))
    told = attested(make_results(requirements=[judged]), {"cms0057-education": SAID})
    assert told.requirements[0].verdict == "fail"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["smart-jwt-11"]\nmet = true', "is no question"),
        ('["cms0057-education"]\nmet = true', "evidence is missing"),
        ('["cms0057-education"]\nmeet = true', "has the keys met"),
        ('["cms0057-education"]\nmet = "yes"', "met is missing or of another type"),
        ("[", "not TOML"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(text, words, tmp_path) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        read_attestations(path)
    assert words in str(error.value)
