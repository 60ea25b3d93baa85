"""Checks on a delivery: which resources are in it, compared with the truth table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..delivered import DeliveredFile
from ..verdicts import CannotTell, CheckFailed

Key = tuple[str, str]
# Resources a payer makes for the exchange itself: not in any truth table.
_MADE = frozenset({"Provenance"})
# The regulation keeps these back and PDex sends them along: judged apart from all else that stays.
_DENIED = "denied-prior-authorization"


def expected_keys(member: Mapping[str, Any], *states: str) -> dict[Key, Mapping[str, Any]]:
    """The resources of the truth table's record that are to be in the states given."""
    found = {}
    for reference, facts in member["record"].get("resources", {}).items():
        if facts["expect"] in states:
            kind, _, ident = reference.partition("/")
            found[kind, ident] = facts
    return found


def all_present(expected: Iterable[Key], delivered: Iterable[Key]) -> None:
    """Everything expected was delivered; tells types and numbers, never ids."""
    missing = set(expected) - set(delivered)
    if missing:
        raise CheckFailed("Resources of the record were not delivered.", "all of the record",
                          f"missing: {_counted(missing)}", "delivery")  # fmt: skip


def none_present(withheld: Mapping[Key, Mapping[str, Any]], delivered: Iterable[Key]) -> None:
    """Nothing was delivered that has to stay; tells the reasons and numbers."""
    leaked = set(withheld) & set(delivered)
    if leaked:
        reasons = Counter(str(withheld[key].get("reason")) for key in leaked)
        raise CheckFailed(
            "Resources were delivered that have to stay.",
            "none of them",
            ", ".join(f"{n} {r}" for r, n in sorted(reasons.items())),
            "delivery",
        )


def none_withheld(withheld: Mapping[Key, Mapping[str, Any]], delivered: Iterable[Key]) -> None:
    """Nothing that has to stay was delivered, denied prior authorizations aside.

    Raises CannotTell when the truth table withholds nothing else.
    """
    _none_of(withheld, delivered, lambda reason: reason != _DENIED)


def none_denied(withheld: Mapping[Key, Mapping[str, Any]], delivered: Iterable[Key]) -> None:
    """No denied prior authorization was delivered; raises CannotTell when there is none."""
    _none_of(withheld, delivered, lambda reason: reason == _DENIED)


def _none_of(
    withheld: Mapping[Key, Mapping[str, Any]],
    delivered: Iterable[Key],
    meant: Callable[[str], bool],
) -> None:
    chosen = {key: facts for key, facts in withheld.items() if meant(str(facts.get("reason")))}
    if not chosen:
        raise CannotTell("The truth table's record holds nothing of the kind that has to stay.")
    none_present(chosen, delivered)


def only_types(delivered: Iterable[Key], allowed: Iterable[str]) -> None:
    """Only the types given were delivered."""
    other = Counter(kind for kind, _ in delivered if kind not in set(allowed))
    if other:
        raise CheckFailed("Types were delivered that were not asked for.", ", ".join(allowed),
                          _named(other), "delivery")  # fmt: skip


def same_keys(first: Iterable[Key], second: Iterable[Key]) -> None:
    """Two deliveries hold the same resources, those made for the exchange aside."""
    one = {k for k in first if k[0] not in _MADE}
    other = {k for k in second if k[0] not in _MADE}
    if one != other:
        raise CheckFailed(
            "Two ways of retrieval deliver different data.",
            "the same resources",
            f"only by export: {_counted(one - other)}; only by the other: {_counted(other - one)}",
            "delivery",
        )


def no_duplicates(files: Iterable[DeliveredFile]) -> None:
    """No type and id stands in a delivery twice."""
    seen = Counter(
        (r.get("resourceType"), r.get("id"))
        for f in files
        for r in f.resources
        if f.type != "OperationOutcome"
    )
    twice = [key for key, count in seen.items() if count > 1]
    if twice:
        raise CheckFailed("Resources were delivered twice.", "each once",
                          f"{_counted(twice)} more than once", "delivery")  # fmt: skip


def files_are_whole(files: Iterable[DeliveredFile]) -> None:
    """Every file came with 200 to its end."""
    for file in files:
        if file.failure:
            raise CheckFailed("A file could not be downloaded whole.", "200 and all its bytes",
                              file.failure, f"{file.type} file")  # fmt: skip


def lines_are_resources(files: Iterable[DeliveredFile]) -> None:
    """Every line is a JSON object with a resourceType, separated by LF alone."""
    for file in files:
        bad = len(file.lines) - sum(1 for r in file.resources if r.get("resourceType"))
        if bad:
            raise CheckFailed("A file has lines that are no resource.", "a resource in each line",
                              f"{bad} lines that are none", f"{file.type} file")  # fmt: skip
        if file.has_carriage_return:
            raise CheckFailed("A file parts its lines with CR.", "LF", "CR LF",
                              f"{file.type} file")  # fmt: skip


def counts_are_right(files: Iterable[DeliveredFile]) -> None:
    """A count of the manifest, where there is one, is the number of lines."""
    for file in files:
        if file.count is not None and file.count != len(file.lines) and not file.failure:
            raise CheckFailed("The manifest counts wrong.", f"{len(file.lines)} lines",
                              f"count {file.count}", f"manifest, {file.type}")  # fmt: skip


def types_are_kept_apart(files: Iterable[DeliveredFile]) -> None:
    """Each file holds the type that the manifest says, and no other."""
    for file in files:
        other = Counter(
            str(r.get("resourceType")) for r in file.resources if r.get("resourceType") != file.type
        )
        if other:
            raise CheckFailed("A file holds another type than its own.", file.type, _named(other),
                              f"{file.type} file")  # fmt: skip


def files_are_not_empty(files: Iterable[DeliveredFile]) -> None:
    """No file is listed that holds nothing."""
    empty = [file.type for file in files if not file.lines and not file.failure]
    if empty:
        raise CheckFailed("The manifest lists empty files.", "no file without data",
                          ", ".join(empty), "manifest.output")  # fmt: skip


def _counted(keys: Iterable[tuple[Any, Any]]) -> str:
    return _named(Counter(str(kind) for kind, _ in keys)) or "none"


def _named(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
