"""Compiled tables: one zip of small JSON rows, of which only those asked for are read."""

from __future__ import annotations

import json
import zipfile
from functools import cache
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson

from ..errors import PayerExchangeError
from .compiling import compile_package
from .differentials import Look
from .packages import Package, read_package

Row = dict[str, Any]
Key = tuple[str, str]
_SHIPPED = "tables.zip"
# Entries of a zip bear a date; one and the same, so that the same packages give the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


class UnreadableTables(PayerExchangeError):
    """The file holds no tables of ours. The sentence says how to make some."""


class Tables:
    """Rows by canonical and version, from compiled files and from packages read just now."""

    def __init__(self) -> None:
        self._places: dict[str, dict[str, dict[str, tuple[Any, str]]]] = {}
        self._rows: dict[tuple[str, str, str], Row] = {}
        self.packages: dict[str, Row] = {}

    def add_file(self, content: bytes) -> None:
        """Take in a compiled file. Raises UnreadableTables."""
        try:
            archive = zipfile.ZipFile(BytesIO(content))
            index = orjson.loads(archive.read("index.json"))
        except (zipfile.BadZipFile, KeyError, ValueError) as error:
            raise UnreadableTables(
                "The file holds no compiled tables. Make them by `payer-exchange profiles compile`."
            ) from error
        self.packages |= index["packages"]
        for kind, url, version, label, name in index["rows"]:
            self._put(kind, url, version, label, (archive, name))

    def add_package(self, package: Package) -> None:
        """Take in a package; what it defines stands before what stood under the same version."""
        self.packages[package.label] = _about(package)
        for kind, url, version, row in compile_package(package, self.look(package.label)):
            self._put(kind, url, version, package.label, row)

    def look(self, package: str) -> Look:
        """The rows of profiles as a package means them, by their canonicals."""

        def found(canonical: str) -> Row | None:
            key = self.find("profile", canonical, package)
            return self.row("profile", key) if key else None

        return found

    def _put(self, kind: str, url: str, version: str, label: str, place: Any) -> None:
        self._rows.pop((kind, url, version), None)
        self._places.setdefault(kind, {}).setdefault(url, {})[version] = (place, label)

    def find(self, kind: str, canonical: str, near: str | None = None) -> Key | None:
        """The key of a canonical with or without |version; without, the one nearest a package."""
        url, _, version = canonical.partition("|")
        versions = self._places.get(kind, {}).get(url)
        if not versions:
            return None
        if version:
            return (url, version) if version in versions else self._by_prefix(url, version)
        return url, self._nearest(versions, near)

    def _by_prefix(self, url: str, version: str) -> Key | None:
        """R4 canonicals are written |4.0.1 for what every R4 package may hold as 4.0.x."""
        kinds = self._places.get("profile", {}).get(url) or {}
        near = [v for v in kinds if v.startswith(version + ".")]
        return (url, near[0]) if near else None

    def _nearest(self, versions: dict[str, tuple[Any, str]], near: str | None) -> str:
        found = self._reached(versions, near) if near else None
        return found or max(versions, key=version_order)

    def _reached(self, versions: dict[str, tuple[Any, str]], near: str) -> str | None:
        wanted, seen = [near], set()
        while wanted:
            label = wanted.pop(0)
            for version, (_, home) in versions.items():
                if home == label:
                    return version
            if label not in seen:
                seen.add(label)
                depends = self.packages.get(label, {}).get("depends") or {}
                wanted += [f"{name}#{v}" for name, v in depends.items()]
        return None

    def near(self, kind: str, url: str, package: str) -> Key | None:
        """The key of a canonical that a package, or one that it depends on, defines."""
        versions = self._places.get(kind, {}).get(url)
        found = self._reached(versions, package) if versions else None
        return (url, found) if found else None

    def versions(self, url: str) -> list[str]:
        """The versions of a profile that are here, the newest first."""
        return sorted(self._places.get("profile", {}).get(url) or {}, key=version_order)[::-1]

    def row(self, kind: str, key: Key) -> Row:
        """One row, read when it is asked for first."""
        place = (kind, *key)
        if place not in self._rows:
            made, _ = self._places[kind][key[0]][key[1]]
            if not isinstance(made, dict):
                made = orjson.loads(made[0].read(made[1]))
            self._rows[place] = made
        return self._rows[place]

    def all(self, kind: str, url: str) -> list[Row]:
        """The rows of a canonical, of all its versions."""
        return [
            self.row(kind, (url, version)) for version in self._places.get(kind, {}).get(url, ())
        ]

    def package_of(self, kind: str, key: Key) -> str:
        """Which package defines it, as name#version."""
        return self._places[kind][key[0]][key[1]][1]


def version_order(version: str) -> list[int]:
    """A version as numbers, so that 10 stands after 9."""
    return [int(part) if part.isdigit() else 0 for part in version.replace("-", ".").split(".")]


def _about(package: Package) -> Row:
    return {"sha256": package.sha256, "depends": package.depends}


@cache
def shipped() -> bytes:
    """The compiled tables this package comes with."""
    return resources.files(__package__).joinpath(_SHIPPED).read_bytes()


def standard(packages: tuple[Path, ...] = ()) -> Tables:
    """The tables shipped, and a user's packages before them.

    Raises UnreadablePackage for a file that is none.
    """
    tables = Tables()
    tables.add_file(shipped())
    for path in packages:
        tables.add_package(read_package(path))
    return tables


def write(packages: list[Package], only: Any = None) -> bytes:
    """A compiled file of packages; `only` says of (package, kind, url, row) whether to keep it."""
    rows: list[list[str]] = []
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for package in packages:
            for kind, url, version, row in compile_package(package, _look(packages, package)):
                if only is None or only(package, kind, url, row):
                    name = f"{len(rows)}.json"
                    rows.append([kind, url, version, package.label, name])
                    _store(archive, name, row)
        index = {"packages": {p.label: _about(p) for p in packages}, "rows": rows}
        _store(archive, "index.json", index)
    return made.getvalue()


def _look(packages: list[Package], package: Package) -> Look:
    """What a profile without a snapshot is laid over: other packages, or what is shipped."""

    @cache
    def rows() -> Look:
        tables = standard()
        for other in packages:
            tables.add_package(other)
        return tables.look(package.label)

    return lambda canonical: rows()(canonical)


def _store(archive: zipfile.ZipFile, name: str, value: Any) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, json.dumps(value, separators=(",", ":"), ensure_ascii=False))
