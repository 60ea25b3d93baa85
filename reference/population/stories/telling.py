"""Who lives which story: by age, sex and chance, or by name for the named members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .acute import allergies, injury, pacemaker, pregnancy
from .chronic import asthma, diabetes, hypertension, kidney_disease, measured_at_home
from .mind import alcohol, depression
from .preventive import (
    adult_vaccine,
    cancer_screening,
    check_ups,
    child_check_ups,
    child_vaccines,
    eyes,
    teeth,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..chart import Chart


@dataclass(frozen=True, slots=True)
class Story:
    """A story, the ages it can befall, and how likely it is at both ends of them."""

    tell: Callable[[Chart], None]
    youngest: float
    oldest: float
    at_youngest: float
    at_oldest: float
    only: str = ""  # a gender

    def befalls(self, chart: Chart) -> bool:
        """Return whether this member lives the story."""
        age = chart.age(chart.last)
        share = (age - self.youngest) / (self.oldest - self.youngest)
        drawn = chart.dice.random()  # drawn always, so that one story does not shift the next
        if not 0 <= share <= 1 or (self.only and self.only != chart.person.gender):
            return False
        return drawn < self.at_youngest + (self.at_oldest - self.at_youngest) * share


STORIES: tuple[Story, ...] = (
    Story(child_check_ups, 0, 18, 1.0, 1.0),
    Story(child_vaccines, 0, 18, 0.95, 0.95),
    Story(check_ups, 19.5, 110, 0.75, 1.0),
    Story(adult_vaccine, 19, 110, 0.4, 0.6),
    Story(cancer_screening, 47, 85, 0.7, 0.7),
    Story(diabetes, 30, 100, 0.03, 0.35),
    Story(hypertension, 28, 100, 0.08, 0.7),
    Story(asthma, 4, 100, 0.12, 0.06),
    Story(kidney_disease, 50, 100, 0.03, 0.25),
    Story(depression, 16, 100, 0.10, 0.10),
    Story(alcohol, 22, 80, 0.04, 0.03),
    Story(pregnancy, 18, 48, 0.35, 0.25, "female"),
    Story(injury, 4, 100, 0.2, 0.3),
    Story(pacemaker, 55, 100, 0.01, 0.12),
    Story(allergies, 1, 110, 0.15, 0.25),
    Story(measured_at_home, 30, 100, 0.015, 0.025),
    Story(teeth, 3, 110, 0.9, 0.8),
    Story(eyes, 6, 110, 0.15, 0.4),
)

# Chosen, not drawn: each named member's record must hold what the member is for.
NAMED_STORIES: dict[str, tuple[Callable[[Chart], None], ...]] = {
    "A": (check_ups, diabetes, hypertension, cancer_screening, pregnancy, allergies, teeth),
    "B": (check_ups, hypertension),
    "D1": (child_check_ups, child_vaccines, asthma),
    "D2": (child_check_ups, child_vaccines),
    "E": (check_ups, depression, alcohol, injury),
    "F": (check_ups, cancer_screening, teeth, eyes),
    "G": (check_ups, hypertension, kidney_disease),
    "H": (check_ups, asthma),
    "I": (check_ups, injury),
    "J": (check_ups, pregnancy, allergies),
    "K": (check_ups, hypertension, pacemaker, injury, teeth, eyes, allergies),
    "L": (check_ups, kidney_disease),
    "M": (check_ups, diabetes),
    "N": (check_ups, pregnancy),
    "R": (check_ups,),
    "S": (check_ups,),
    "P": (check_ups, pregnancy),
}


def tell_stories(chart: Chart) -> None:
    """Write the member's life into the chart."""
    chosen = NAMED_STORIES.get(chart.person.key)
    if chosen is None:
        chosen = tuple(story.tell for story in STORIES if story.befalls(chart))
    for tell in chosen:
        tell(chart)
