"""What compartments share: the resources of nobody that they point at, followed to the end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, Select, and_, or_, select

from .tables import SHARED_REFERENCE, Key

# Types that belong to one member or to none, whoever points at them.
_NEVER_SHARED = frozenset({"Patient", "Provenance"})
_BATCH = 500
# So many shared resources are remembered before everything is forgotten: memory stays flat.
_REMEMBERED = 100_000


class Sharing:
    """Follows references between shared resources, reading each resource's once."""

    def __init__(self, engine: Engine, common: Collection[Key]) -> None:
        self._engine = engine
        self._common = frozenset(common)
        self._targets: dict[Key, tuple[Key, ...]] = {}

    def of(self, pointing: Mapping[str, Collection[Key]]) -> dict[str, set[Key]]:
        """Keys of what each compartment shares with others, given what it points at.

        One that names a Patient of another compartment is left out, and so is Provenance.
        """
        if len(self._targets) > _REMEMBERED:
            self._targets.clear()
        roots = {
            compartment: _shareable(keys) | self._common for compartment, keys in pointing.items()
        }
        self._read(set().union(*roots.values()))
        return {
            compartment: self._reached(compartment, keys) for compartment, keys in roots.items()
        }

    def _reached(self, compartment: str, roots: set[Key]) -> set[Key]:
        found, waiting, tainted = set(roots), list(roots), set()
        while waiting:
            source = waiting.pop()
            for target in self._targets[source]:
                if target[0] == "Patient" and target[1] != compartment:
                    tainted.add(source)
                if target[0] not in _NEVER_SHARED and target not in found:
                    found.add(target)
                    waiting.append(target)
        return found - tainted

    def _read(self, keys: set[Key]) -> None:
        """Remember the references of the keys and of all they lead to."""
        new = keys - self._targets.keys()
        with self._engine.connect() as connection:
            while new:
                found: dict[Key, list[Key]] = {key: [] for key in new}
                for part in _parts(sorted(new)):
                    for row in connection.execute(_references_of(part)):
                        found[row[0], row[1]].append((row[2], row[3]))
                self._targets.update((key, tuple(targets)) for key, targets in found.items())
                step = (target for targets in found.values() for target in targets)
                new = _shareable(step) - self._targets.keys()


def _shareable(keys: Collection[Key] | Iterator[Key]) -> set[Key]:
    return {key for key in keys if key[0] not in _NEVER_SHARED}


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    return (keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH))


def _references_of(keys: Sequence[Key]) -> Select[Any]:
    table = SHARED_REFERENCE.c
    by_type: dict[str, list[str]] = {}
    for kind, ident in keys:
        by_type.setdefault(kind, []).append(ident)
    wanted = (
        and_(table.from_type == kind, table.from_id.in_(idents)) for kind, idents in by_type.items()
    )
    return select(table.from_type, table.from_id, table.type, table.id).where(or_(*wanted))
