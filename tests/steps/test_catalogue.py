"""The catalogue and the features agree, and every scenario can be seen failing."""

from __future__ import annotations

from collections import Counter

import pytest
from payer_exchange.reports.catalogue import NORMATIVE, catalogue, conflicts
from payer_exchange.simulators.defects import DEFECTS
from payer_exchange.simulators.requesting_defects import REQUESTING_DEFECTS
from payer_exchange.steps.scenarios import ROLES, scenarios_by_requirement, tagged_scenarios
from payer_exchange.steps.selection import packaged_features

ROWS = {row.id: row for row in catalogue()}
EVERY_DEFECT = [*DEFECTS.values(), *REQUESTING_DEFECTS.values()]
# Tags that are no requirement: what a scenario needs from the target.
NEEDS = {"needs-withdraw-consent", "needs-pressure", "needs-delete-resource"}
CONFLICTS = {conflict.tag: conflict for conflict in conflicts()}


def test_the_catalogue_has_every_row_once() -> None:
    assert len(catalogue()) == len(ROWS) == 718


@pytest.mark.parametrize("ident", sorted(scenarios_by_requirement()))
def test_a_tag_is_a_requirement(ident: str) -> None:
    assert ident in ROWS or ident in NEEDS or ident in CONFLICTS


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row.id)
def test_a_row_has_a_scenario_or_a_reason(row) -> None:
    verified = row.id in scenarios_by_requirement()
    assert verified != bool(row.not_tested), "a scenario, or a not_tested reason, and not both"


def test_names_of_scenarios_are_unique() -> None:
    for role in ROLES:
        names = Counter(
            name
            for path in packaged_features(role).glob("*.feature")
            for _, name in tagged_scenarios(path)
        )
        assert [name for name, count in names.items() if count > 1] == []


def test_every_scenario_is_tagged_with_a_requirement() -> None:
    for role in ROLES:
        for path in packaged_features(role).glob("*.feature"):
            for tags, name in tagged_scenarios(path):
                assert set(tags) & set(ROWS), name


# Requirements whose scenario no simulated payer can be told to break yet, each with its reason.
WITHOUT_DEFECT: dict[str, str] = {}


@pytest.mark.parametrize(
    "ident", sorted(i for i in scenarios_by_requirement() if i in ROWS and i not in WITHOUT_DEFECT)
)
def test_a_requirement_with_a_scenario_has_a_defect(ident: str) -> None:
    assert any(ident in defect.violates for defect in EVERY_DEFECT)


@pytest.mark.parametrize("defect", EVERY_DEFECT, ids=lambda d: d.id)
def test_a_defect_names_requirements_that_are_verified(defect) -> None:
    verified = scenarios_by_requirement()
    assert defect.violates
    assert [r for r in (*defect.violates, *defect.also) if r not in verified] == []


def test_there_are_requirements_that_must_be_met() -> None:
    verified = {ROWS[i].strength for i in scenarios_by_requirement() if i in ROWS}
    assert verified & NORMATIVE


@pytest.mark.parametrize("conflict", conflicts(), ids=lambda conflict: conflict.id)
def test_a_conflict_has_two_readings_of_known_requirements(conflict) -> None:
    one, other = conflict.readings
    assert one.says
    assert other.says
    assert one != other
    assert [ident for ident in conflict.requirements if ident not in ROWS] == []
