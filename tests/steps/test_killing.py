"""How defects are chosen for the quick form."""

from __future__ import annotations

from dataclasses import dataclass

from payer_exchange.simulators.defects import DEFECTS
from payer_exchange.simulators.requesting_defects import REQUESTING_DEFECTS
from payer_exchange.steps.killing import cover, family


@dataclass(frozen=True)
class Breaks:
    name: str
    violates: tuple[str, ...]


def test_a_defect_that_breaks_what_others_break_is_left_out() -> None:
    one, two, both = Breaks("one", ("a",)), Breaks("two", ("b",)), Breaks("both", ("a", "b"))
    assert cover([one, two, both], str) == [both]
    assert cover([one, two], str) == [one, two]
    assert cover([], str) == []


def test_a_family_is_a_phase_of_a_guide() -> None:
    assert family("smart-jwt-11") == "token, SMART"
    one, two = Breaks("one", ("smart-jwt-11",)), Breaks("two", ("smart-jwt-12",))
    assert cover([one, two]) == [one]


def test_every_family_that_a_defect_breaks_is_broken_by_one_that_is_chosen() -> None:
    for defects in (DEFECTS.values(), REQUESTING_DEFECTS.values()):
        chosen = cover(defects)
        broken = {family(r) for d in chosen for r in d.violates}
        assert broken == {family(r) for d in defects for r in d.violates}
        assert len(chosen) < len(defects)
