from dataclasses import replace

import pytest
from payer_exchange.reports.catalogue import catalogue
from payer_exchange.reports.chapters import CHAPTERS
from payer_exchange.reports.findings import (
    coverage,
    findings,
    role_requirements,
    sentence,
    unknowns,
)


def test_a_violated_shall_comes_before_a_broken_harness_and_a_warning(found):
    assert [f.verdict for f in findings(found)] == ["fail", "error", "warn"]


def test_scenarios_that_found_the_same_are_one_finding(make_results, make_scenario):
    facts = {"message": "No.", "requirements": ("smart-jwt-13",)}
    one, two = (make_scenario(f"1-a/{n}", "fail", **facts) for n in "xy")
    found = findings(make_results(one, two, replace(two, actual="else")))
    assert [len(f.scenarios) for f in found] == [2, 1]
    assert found[0].requirements[0].id == "smart-jwt-13"
    assert "stranger" in found[0].why


def test_coverage_counts_the_requirements_of_the_judged_role_only(found):
    told = {c.chapter.title: dict(c.counts) for c in coverage(found)}
    assert told["Authorization"]["fail"] == told["Authorization"]["warn"] == 1
    assert told["Authorization"]["not_tested"] == 0
    assert [r.id for r in role_requirements(found)] == [
        "bulk-kickoff-11",
        "smart-jwt-11",
        "smart-rsp-04",
    ]
    assert sum(share for _, _, share in coverage(found)[0].bars) == pytest.approx(100)


def test_reasons_of_what_could_not_be_told_are_counted(found):
    assert unknowns(found) == [("The answer came too late.", 1)]


def test_every_phase_of_the_catalogue_is_in_a_chapter():
    placed = {phase for chapter in CHAPTERS for phase in chapter.phases}
    assert {row.phase for row in catalogue()} <= placed


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ("fail", "violates 1 requirement that it SHALL meet"),
        ("error", "could not be judged: the harness failed in 1 scenario"),
        ("skip", "could not be judged: nothing ran"),
        ("warn", "misses 1 recommendation"),
        ("pass", "violates no requirement of this run"),
    ],
)
def test_the_verdict_in_a_sentence(make_results, make_scenario, verdicts, words):
    scenarios = [
        make_scenario("1-a/x", v, requirements=("smart-jwt-11",)) for v in verdicts.split()
    ]
    assert words in sentence(make_results(*scenarios))
