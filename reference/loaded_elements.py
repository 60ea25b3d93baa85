"""What the truth table tells of the elements that loaded resources have, and that may leave."""

from __future__ import annotations

from typing import Any

from .fhir.elements import leaf_paths

# Where money stands, whatever else stands there: an amount that is taken out may take it along.
_MONEY = frozenset({"adjudication", "total", "payment", "benefitBalance", "costToBeneficiary"})
# What a server writes itself.
_SERVERS = ("meta.", "text.")


class LoadedElements:
    """The elements of the resources of one record, each set of them told once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], int] = {}

    def add(self, resource: dict[str, Any], expect: str) -> int | None:
        """Which of `told` are the elements of a resource that may leave; None for one that stays.

        Of a claim whose money is taken out, what might go with the money is left out.
        """
        if expect not in ("sent", "stripped"):
            return None
        kept = _without_money(resource) if expect == "stripped" else resource
        paths = tuple(sorted(p for p in leaf_paths(kept) if not p.startswith(_SERVERS)))
        return self._known.setdefault(paths, len(self._known))

    def told(self) -> list[list[str]]:
        """The paths of each set."""
        return [list(paths) for paths in self._known]


def _without_money(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_money(v) for k, v in value.items()
                if k not in _MONEY and not _is_money(v)}  # fmt: skip
    if isinstance(value, list):
        return [_without_money(item) for item in value if not _holds_money(item)]
    return value


def _is_money(value: Any) -> bool:
    return isinstance(value, dict) and "currency" in value


def _holds_money(item: Any) -> bool:
    return isinstance(item, dict) and any(_is_money(child) for child in item.values())
