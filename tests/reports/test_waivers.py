"""Waivers: what they cover, and when they have to go."""

from dataclasses import replace
from datetime import date

import pytest
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reports import junit, summary
from payer_exchange.reports.html import render
from payer_exchange.reports.results import results_from_json
from payer_exchange.reports.waivers import Waiver, read_waivers, waived

TODAY = date(2026, 11, 20)
REPLAY = Waiver("smart-jwt-11", "The cache comes with release 4.", "Token team", date(2026, 12, 1))
GOOD = """
[[waiver]]
requirement = "smart-jwt-11"
reason = "The cache comes with release 4."
owner = "Token team"
expires = 2026-12-01
"""


@pytest.fixture
def one_failure(found, make_results):
    """The failure of smart-jwt-11 and a pass of bulk-kickoff-11, nothing else."""
    kept = [s for s in found.scenarios if s.verdict in ("fail", "pass")]
    return make_results(*kept, requirements=found.requirements[:2])


def test_a_waived_violation_does_not_fail_the_run_and_is_told(one_failure) -> None:
    assert one_failure.verdict == "fail"
    told = waived(one_failure, [REPLAY], TODAY)
    assert (told.verdict, told.exit_status) == ("warn", 0)
    assert told.counts["fail"] == 1
    assert [(w.requirement, w.state) for w in told.waivers] == [("smart-jwt-11", "in force")]
    assert results_from_json(told.as_json()) == told
    assert "The cache comes with release 4." in summary.render(told)
    assert "The cache comes with release 4." in render(told)
    assert 'message="waived: The cache comes with release 4."' in junit.render(told)


def test_a_waiver_covers_until_its_day_and_fails_the_run_from_the_next(one_failure) -> None:
    last = waived(one_failure, [REPLAY], REPLAY.expires)
    assert last.exit_status == 0
    late = waived(one_failure, [REPLAY], date(2026, 12, 2))
    assert late.exit_status == 1
    assert late.waivers[0].state == "expired"
    assert not any(s.waived for s in late.scenarios)


def test_a_waiver_of_what_is_met_fails_the_run_until_it_is_taken_away(one_failure) -> None:
    met = replace(REPLAY, requirement="bulk-kickoff-11")
    passing = replace(one_failure, scenarios=one_failure.scenarios[:1])
    assert passing.exit_status == 0
    told = waived(passing, [met], TODAY)
    assert (told.waivers[0].state, told.exit_status) == ("met", 1)
    assert "1 waiver must be taken away" in render(told)
    assert '<failure message="The waiver is met. Take it away."' in junit.render(told)


def test_a_waiver_of_what_was_not_judged_says_so_and_changes_nothing(found) -> None:
    told = waived(found, [replace(REPLAY, requirement="pdex-186")], TODAY)
    assert told.waivers[0].state == "not judged"
    assert told.verdict == found.verdict


def test_a_scenario_of_two_requirements_is_covered_by_both_waivers_alone(
    found, make_results
) -> None:
    both = replace(found.scenarios[2], requirements=("smart-jwt-11", "pdex-186"))
    results = make_results(both, requirements=found.requirements)
    assert waived(results, [REPLAY], TODAY).exit_status == 1
    other = replace(REPLAY, requirement="pdex-186")
    assert waived(results, [REPLAY, other], TODAY).scenarios[0].waived


def test_a_file_of_waivers_is_read(tmp_path) -> None:
    path = tmp_path / "waivers.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert read_waivers(path) == (REPLAY,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("owner", "ownr"), "no key ownr"),
        (('owner = "Token team"', ""), "owner must be text"),
        (('"Token team"', '""'), "owner must be text"),
        (("2026-12-01", '"soon"'), "expires must be a date"),
        (("smart-jwt-11", "smart-jwt-1l"), "Did you mean smart-jwt-1"),
        (("[[waiver]]", "[waiver]"), "[[waiver]]"),
        (("[[waiver]]", "[[waivers]]"), "[[waiver]]"),
        (("= 2026", "2026"), "is not TOML"),
        (("01\n", "01\n" + GOOD), "waived twice"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(change, words, tmp_path) -> None:
    path = tmp_path / "waivers.toml"
    path.write_text(GOOD.replace(*change, 1), encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        read_waivers(path)
    assert words in str(error.value)
    assert "waivers.toml" in str(error.value)
