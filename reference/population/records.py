"""One member's whole record, from the person to the last Provenance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .authorizations import ordinary_authorization
from .chart import STRIPPED, Chart, Entry, MemberRecord
from .clinical import BLOOD_SUGAR, encounter, lab, note
from .codes import CHECK_UP, PROGRESS_NOTE, PSYCHIATRY, RESTRICTED
from .dice import Dice
from .named import SPECIAL
from .particulars import PARTICULARS, tagged_patient, with_cost_sharing
from .provenance import vouch_for_all
from .stories.telling import tell_stories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .people import Person

HOT_SPOT_RESOURCES = 100_000
HOT_SPOT_NOTE = 5 * 1024 * 1024
_BATCH = 1000


def make_record(person: Person, seed: int, today: int) -> MemberRecord:
    """Return the member's record; it depends on the person, the seed and the day alone."""
    chart = Chart(person, Dice(seed, "record", person.index), today)
    _hold_person(chart)
    tell_stories(chart)
    particular = PARTICULARS.get(person.key)
    if particular:
        particular(chart)
    if person.index >= SPECIAL:
        ordinary_authorization(chart)
    vouch_for_all(chart, RESTRICTED, PSYCHIATRY)
    return MemberRecord(person, chart.entries, sorted(chart.used))


def _hold_person(chart: Chart) -> None:
    person = chart.person
    patient = person.patient()
    chart.hold(tagged_patient(patient) if person.key == "J" else patient)
    for coverage in person.coverage_dicts():
        if person.index % 5 == 0:
            chart.hold(with_cost_sharing(coverage), expect=STRIPPED, reason="cost-sharing")
        else:
            chart.hold(coverage)


def hot_spot(person: Person, seed: int, today: int) -> Iterator[Entry]:
    """Yield what a hot spot holds beyond its record, without keeping any of it.

    R gets 100,000 results, S one note of 5 MB; anybody else gets nothing.
    """
    chart = Chart(person, Dice(seed, "hot spot", person.index), today)
    if person.key == "S":
        chart.next_as("doc-large")
        line = "A long note repeats itself, line by line, to be large rather than interesting. "
        text = line * (HOT_SPOT_NOTE * 3 // 4 // len(line) + 1)
        note(chart, today - 30, PROGRESS_NOTE, text)
        yield from chart.entries
    if person.key == "R":
        yield from _many_results(chart)


def _many_results(chart: Chart) -> Iterator[Entry]:
    first = chart.today - 3600
    chart.next_as("enc-hot")
    seen = encounter(chart, first, CHECK_UP)
    for number in range(HOT_SPOT_RESOURCES - 1):
        chart.next_as(f"hot-{number}")
        lab(chart, first + number // 28, BLOOD_SUGAR, chart.dice.bell(130, 20), seen)
        if len(chart.entries) == _BATCH:
            yield from chart.entries
            chart.entries.clear()
    yield from chart.entries
