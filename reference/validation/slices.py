"""Slices of a list: which value is of which, how many each may have, in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .run import Check, Run

Row = dict[str, Any]


# A check of a list; what it answers are the places of values that need no other check.
ListCheck = Callable[[Any, str, Run], "set[int]"]


def slices_of(engine: Any, node: Row, place: Any) -> ListCheck | None:
    """The check of a list's slices, or None where a profile slices nothing."""
    slicing, slices = node.get("sl"), node.get("s")
    if not slicing or not (slices or slicing["r"] == "closed"):
        return None
    top = {name: s for name, s in (slices or {}).items() if "/" not in name}
    made = []
    for name, slice_ in top.items():
        test = engine.discriminators.test(slicing, slice_, place.package)
        check, whole = _check(engine, node, slice_, place)
        inner = {n: s for n, s in (slices or {}).items() if n.startswith(name + "/")}
        again = _again(engine, slice_, inner, place)
        made.append((name, test, check, slice_.get("min", 0), slice_.get("max", -1), again, whole))
    closed, ordered = slicing["r"] == "closed", slicing["o"]
    profile = place.profile

    def check_all(values: Any, at: str, run: Run) -> set[int]:
        seen: set[int] = set()
        members: list[list[tuple[int, Any]]] = [[] for _ in made]
        unknown, last = False, -1
        for index, value in enumerate(values):
            of, doubt = _slice_of(value, run, made)
            unknown = unknown or doubt
            if of is None:
                if doubt:
                    run.add("information", "slice-undecided", f"{at}/{index}",
                            "told apart by the profile's slices",
                            "what cannot be told here", profile)  # fmt: skip
                elif closed:
                    run.add("error", "closed", f"{at}/{index}", "of a slice", "of none", profile)
                continue
            members[of].append((index, value))
            if ordered and of < last:
                run.add("error", "order", f"{at}/{index}", "in order", "later", profile)
            last = max(last, of)
        for (name, _, check, low, high, again, whole), items in zip(made, members, strict=True):
            if len(items) < low and not unknown:
                run.add("error", "slice-min", at, f"at least {low} of slice {name}",
                        str(len(items)), profile)  # fmt: skip
            if 0 <= high < len(items):
                run.add("error", "slice-max", at, f"at most {high} of slice {name}",
                        str(len(items)), profile)  # fmt: skip
            if check is not None:
                for index, value in items:
                    check(value, f"{at}/{index}", run)
            if whole:
                seen.update(index for index, _ in items)
            if again is not None and items:
                again([value for _, value in items], at, run)
        return seen

    return check_all


def _check(engine: Any, node: Row, slice_: Row, place: Any) -> tuple[Check | None, bool]:
    """The check of a slice's values, and whether it holds all that the list asks of each."""
    types = slice_.get("t") or []
    if not slice_.get("k") and len(types) == 1 and types[0][0] == "Extension" and types[0][1:2]:
        profiles = types[0][1]
        if len(profiles) == 1 and engine.extensions.is_own(profiles[0], place.package):
            return None, False
    check, _ = engine.value_check(place.follow(slice_), place)
    return check, _holds_all(slice_, node)


def _holds_all(slice_: Row, node: Row) -> bool:
    """Whether a slice repeats the children and the rules of its list, as snapshots do."""
    own = {key for key, _, _ in slice_.get("c") or []}
    return (
        "ref" not in node
        and bool(slice_.get("k"))
        and (slice_["k"].keys() >= (node.get("k") or {}).keys())
        and own >= {key for key, _, _ in node.get("c") or []}
        and slice_.get("t") == node.get("t")
        and not {"b", "f", "p"}.intersection(node)
    )


def _slice_of(value: Any, run: Run, made: list[Any]) -> tuple[int | None, bool]:
    doubt = False
    for index, (_, test, *_) in enumerate(made):
        answer = test(value, run)
        if answer:
            return index, doubt
        doubt = doubt or answer is None
    return None, doubt


def _again(engine: Any, slice_: Row, inner: Row, place: Any) -> ListCheck | None:
    """Slices of a slice, told apart among its own values."""
    if not inner or "sl" not in slice_:
        return None
    renamed = {name.partition("/")[2]: s for name, s in inner.items()}
    return slices_of(engine, {"sl": slice_["sl"], "s": renamed}, place)
