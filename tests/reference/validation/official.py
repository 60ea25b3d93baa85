"""The packages that HL7 publishes: definitions, examples, and where each example claims what.

Set PAYER_EXCHANGE_FHIR_PACKAGES to a folder of FHIR packages (.tgz) to play tests with them.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from functools import cache
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("PAYER_EXCHANGE_FHIR_PACKAGES") or "none")
needed = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="PAYER_EXCHANGE_FHIR_PACKAGES names no folder with FHIR packages"
)
CORE = "hl7.fhir.r4.core-4.0.1.tgz"
NAMES = (
    "us.core-3.1.1", "us.core-6.1.0", "us.core-7.0.0",
    "us.carin-bb-2.0.0", "us.carin-bb-2.1.0", "us.carin-bb-2.2.0",
    "us.davinci-hrex-1.1.0", "us.davinci-hrex-1.2.0",
    "us.davinci-pdex-2.0.0", "us.davinci-pdex-2.1.0", "us.davinci-pdex-2.2.0",
)  # fmt: skip
_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?")


@cache
def package(file):
    """The resources of a package by their file's name."""
    with tarfile.open(FOLDER / file) as archive:
        return {
            member.name: json.loads(archive.extractfile(member).read())
            for member in archive
            if member.name.endswith(".json") and member.name.count("/") < 3
        }


def definitions(file):
    """What a package defines, by canonical."""
    return {
        r["url"]: r
        for name, r in package(file).items()
        if "/example/" not in name and isinstance(r, dict) and isinstance(r.get("url"), str)
    }


def examples():
    """(package, file, resource) of all examples that claim a profile."""
    for name in NAMES:
        for file, resource in package(f"hl7.fhir.{name}.tgz").items():
            if "/example/" in file and (resource.get("meta") or {}).get("profile"):
                yield name, Path(file).name, resource


def placements():
    """(package, file, where in it, resource, canonical) of each claim in the index."""
    index = json.loads((FOLDER / "examples-index.json").read_text(encoding="utf-8"))
    for row in (row for rows in index.values() for row in rows):
        value = package(row["package"])[row["file"]]
        for name, number in _STEP.findall(row.get("at") or ""):
            value = value[name][int(number)] if number else value[name]
        name = row["package"].removeprefix("hl7.fhir.").removesuffix(".tgz")
        yield name, Path(row["file"]).name, row.get("at"), value, row["profile_as_written"]
