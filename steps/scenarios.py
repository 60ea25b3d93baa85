"""The scenarios that are shipped, read as text: which requirement is verified by which."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from .selection import packaged_features

ROLES = ("responding-payer", "requesting-payer")


@lru_cache(maxsize=1)
def scenarios_by_requirement() -> dict[str, list[str]]:
    """The names of the scenarios tagged with each requirement id (and with any other tag)."""
    found: dict[str, list[str]] = {}
    for role in ROLES:
        for path in sorted(packaged_features(role).glob("*.feature")):
            for tags, name in tagged_scenarios(path):
                for tag in tags:
                    found.setdefault(tag, []).append(f"{role}: {name}")
    return found


def tagged_scenarios(path: Path) -> list[tuple[list[str], str]]:
    """The (tags, name) of each scenario in a feature file."""
    found: list[tuple[list[str], str]] = []
    tags: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("@"):
            tags += [tag.lstrip("@") for tag in text.split()]
        elif text.startswith(("Scenario:", "Scenario Outline:")):
            found.append((tags, text.partition(":")[2].strip()))
            tags = []
    return found
