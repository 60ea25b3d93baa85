"""How defects are chosen for the quick form."""

from __future__ import annotations

from dataclasses import dataclass

from payer_exchange.simulators.defects import DEFECTS
from payer_exchange.simulators.requesting_defects import REQUESTING_DEFECTS
from payer_exchange.steps.killing import cover


@dataclass(frozen=True)
class Breaks:
    name: str
    violates: tuple[str, ...]


def test_a_defect_that_breaks_what_others_break_is_left_out() -> None:
    one, two, both = Breaks("one", ("a",)), Breaks("two", ("b",)), Breaks("both", ("a", "b"))
    assert cover([one, two, both]) == [both]
    assert cover([one, two]) == [one, two]
    assert cover([]) == []


def test_every_requirement_that_a_defect_breaks_is_broken_by_one_that_is_chosen() -> None:
    for defects in (DEFECTS.values(), REQUESTING_DEFECTS.values()):
        chosen = cover(defects)
        assert {r for d in chosen for r in d.violates} == {r for d in defects for r in d.violates}
        assert len(chosen) < len(defects)
