"""Checks of must-support elements: what the loaded data has of them is delivered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...reference.fhir.elements import leaf_paths, parent_of, with_parents
from ...reference.validation.coverage import Supported
from ..verdicts import CannotTell, CheckFailed
from .delivery import expected_keys
from .payload import Resources
from .profiles import Judged

_NAMED_AT_MOST = 5
_PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-"
# The profile table was built before PDex 2.2.0 named them must-support, so they stand here.
_OF_PAS_221 = {
    "claimResponseReviewer": f"extension({_PAS}claimResponseReviewer)",
    "admissionDates": f"item.extension({_PAS}admissionDates)",
    "dischargeDate": f"item.extension({_PAS}dischargeDate)",
}


@dataclass(frozen=True)
class Pair:
    """A resource as it was loaded and as it came: its profiles, and the paths of both."""

    profiles: tuple[str, ...]
    loaded: frozenset[str]
    came: frozenset[str]


def pairs(judged: Judged, resources: Resources, member: Mapping[str, Any]) -> list[Pair]:
    """What was loaded, beside what came of it; CannotTell where the table tells no elements."""
    sets = member["record"].get("elements")
    expected = expected_keys(member, "sent", "stripped")
    told = {k: f["elements"] for k, f in expected.items() if f.get("elements") is not None}
    if not sets or not told:
        raise CannotTell(
            "The truth table does not tell which elements the resources have: add record.elements."
        )
    made = [_pair(judged, resources[key], sets[told[key]]) for key in told if key in resources]
    if not any(pair.profiles for pair in made):
        raise CannotTell("Nothing was delivered that claims a profile whose tables are here.")
    return made


def _pair(judged: Judged, resource: Mapping[str, Any], loaded: Iterable[str]) -> Pair:
    came = with_parents(leaf_paths(resource))
    profiles = tuple(judged.profiles_of(resource))
    return Pair(profiles, frozenset(with_parents(loaded)), frozenset(came))


def can_be_populated(
    judged: Judged, found: Iterable[Pair], only: Collection[str] | None = None
) -> None:
    """No must-support element that loaded resources of a profile have is never delivered.

    `only` narrows it to profiles named without a version (hrex-conf-1, pdex-103).
    """
    by_profile: dict[str, list[Pair]] = {}
    for pair in found:
        for profile in pair.profiles:
            if only is None or profile.partition("|")[0] in only:
                by_profile.setdefault(profile, []).append(pair)
    if not by_profile:
        raise CannotTell("Nothing was delivered of the profiles that the target names.")
    lost: Counter[str] = Counter()
    for profile, of in by_profile.items():
        loaded = frozenset().union(*(pair.loaded for pair in of))
        came = frozenset().union(*(pair.came for pair in of))
        lost.update(_lost(judged, Pair((profile,), loaded, came)))
    _fail_for(lost, "Must-support elements that the data has are never delivered.")


def are_populated(judged: Judged, found: Iterable[Pair]) -> None:
    """An optional must-support element is there in each resource that was loaded with it."""
    lost = Counter(name for pair in found for name in _lost(judged, pair, lambda one: one.optional))
    _fail_for(lost, "Must-support elements are left out though the data has them.")


def children_are_filled(judged: Judged, found: Iterable[Pair]) -> None:
    """Where an element comes, so do the must-support children it was loaded with (pdex-82)."""
    lost: Counter[str] = Counter()
    for pair in found:
        came = pair.came

        def below(one: Supported, came: frozenset[str] = came) -> bool:
            parent = parent_of(one.path)
            return bool(parent) and _holds(parent, came)

        lost.update(_lost(judged, pair, below))
    _fail_for(lost, "Elements come without must-support children that the data has.")


def pas_extensions_come(found: Iterable[Pair]) -> None:
    """The extensions of PAS 2.2.1 come that the prior authorizations were loaded with."""
    pairs = list(found)
    loaded = {n for n, path in _OF_PAS_221.items() if any(path in p.loaded for p in pairs)}
    if not loaded:
        raise CannotTell("No prior authorization was loaded with an extension of PAS 2.2.1.")
    came = {n for n, path in _OF_PAS_221.items() if any(path in p.came for p in pairs)}
    lost = Counter(f"ExplanationOfBenefit extension {name}" for name in loaded - came)
    _fail_for(lost, "Extensions of prior authorizations are never delivered.")


def _lost(
    judged: Judged, pair: Pair, meant: Callable[[Supported], bool] = lambda _one: True
) -> Iterator[str]:
    """The ids of elements that were loaded and did not come, each once."""
    names = {
        one.name
        for profile in pair.profiles
        for one in judged.supported(profile)
        if meant(one) and _holds(one.path, pair.loaded) and not _holds(one.path, pair.came)
    }
    yield from names


def _holds(path: str, held: Collection[str]) -> bool:
    """Whether a path is among others; a choice is there by any of its types."""
    if "[x]" not in path:
        return path in held
    pattern = re.compile(re.escape(path).replace(re.escape("[x]"), "[A-Z][A-Za-z0-9]*"))
    return any(pattern.fullmatch(one) for one in held)


def _fail_for(lost: Counter[str], words: str) -> None:
    if not lost:
        return
    # The outermost says what its children would repeat.
    outer = {n: c for n, c in lost.items() if n.rpartition(".")[0] not in lost}
    named = sorted(outer, key=lambda name: (-outer[name], name))
    told = ", ".join(f"{outer[name]} x {name}" for name in named[:_NAMED_AT_MOST])
    more = f", and {len(named) - _NAMED_AT_MOST} more" if len(named) > _NAMED_AT_MOST else ""
    raise CheckFailed(words, "what was loaded", f"without {told}{more}", named[0])
