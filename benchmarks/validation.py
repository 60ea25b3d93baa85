"""Resources validated a second, beside json.loads of the same bytes as the floor.

Set PAYER_EXCHANGE_FHIR_PACKAGES to a folder of FHIR packages: `python benchmarks/validation.py`.
"""

from __future__ import annotations

import json
import os
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from payer_exchange.reference.validation.delivery import validate_files
from payer_exchange.reference.validation.validator import Validator

FOLDER = Path(os.environ["PAYER_EXCHANGE_FHIR_PACKAGES"])
KINDS = {
    "US Core Patient": ("us.core-7.0.0", "Patient"),
    "CARIN EOB": ("us.carin-bb-2.2.0", "ExplanationOfBenefit"),
}
SECONDS = 0.3
RUNS = 8


def bodies(package: str, kind: str) -> list[bytes]:
    """Examples of a type that claim a profile, each on one line."""
    made = []
    with tarfile.open(FOLDER / f"hl7.fhir.{package}.tgz") as archive:
        for member in archive:
            if member.name.startswith(f"package/example/{kind}-"):
                opened = archive.extractfile(member)
                found = json.loads(opened.read()) if opened else {}
                if (found.get("meta") or {}).get("profile"):
                    made.append(json.dumps(found).encode())
    return made


def rate(work: Callable[[bytes], object], given: list[bytes]) -> float:
    """Calls a second of this process's own time, the best of some runs: others may be busy."""
    for body in given:
        work(body)
    return max(_once(work, given) for _ in range(RUNS))


def _once(work: Callable[[bytes], object], given: list[bytes]) -> float:
    began, done = time.process_time(), 0
    while time.process_time() - began < SECONDS:
        for body in given:
            work(body)
        done += len(given)
    return done / (time.process_time() - began)


def main() -> None:
    """Print the rates side by side, then one process beside two."""
    validator = Validator()
    for name, (package, kind) in KINDS.items():
        given = bodies(package, kind)
        floor, ours = rate(json.loads, given), rate(validator.validate_bytes, given)
        size = sum(map(len, given)) // len(given)
        print(f"{name}: {ours:,.0f}/s; json.loads {floor:,.0f}/s; {size} bytes each")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.ndjson"
        lines = b"\n".join(bodies(*KINDS["US Core Patient"])) + b"\n"
        file.write_bytes(lines * (16_000_000 // len(lines)))
        for workers in (1, 2):
            began = time.perf_counter()
            judged = validate_files([file], [], workers=workers)
            took = time.perf_counter() - began
            print(f"{workers} processes: {judged.resources / took:,.0f}/s")
    print(
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most, one process"
    )


if __name__ == "__main__":
    main()
