"""What compartments share: the resources of nobody that they point at, followed to the end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from sqlalchemy import Engine, bindparam, select

from .tables import SHARED_REFERENCE, Key

# Types that belong to one member or to none, whoever points at them.
_NEVER_SHARED = frozenset({"Patient", "Provenance"})
_BATCH = 500
_TABLE = SHARED_REFERENCE.c
_REFERENCES_OF = select(SHARED_REFERENCE).where(
    _TABLE.from_type.in_(bindparam("kinds", expanding=True)),
    _TABLE.from_id.in_(bindparam("idents", expanding=True)),
)
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
                for part in _parts(new):
                    for *source, kind, ident in connection.execute(_REFERENCES_OF, part).all():
                        found.get((source[0], source[1]), []).append((kind, ident))
                self._targets.update((key, tuple(targets)) for key, targets in found.items())
                step = (target for targets in found.values() for target in targets)
                new = _shareable(step) - self._targets.keys()


def _shareable(keys: Collection[Key] | Iterator[Key]) -> set[Key]:
    return {key for key in keys if key[0] not in _NEVER_SHARED}


def _parts(keys: Iterable[Key]) -> Iterator[dict[str, list[str]]]:
    """The keys, so many at a time, as the one statement for all types takes them.

    It also finds what has the type of one key and the id of another.
    """
    ordered = sorted(keys)
    for start in range(0, len(ordered), _BATCH):
        kinds, idents = zip(*ordered[start : start + _BATCH], strict=True)
        yield {"kinds": sorted(set(kinds)), "idents": sorted(set(idents))}
