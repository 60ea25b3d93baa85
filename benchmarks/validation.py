"""One JSON line: resources validated a second by profile, beside parsing alone and another library.

US Core Patients and CARIN claims that claim their profiles, from the packages' own examples; rates
are of a process's own time, each the best of turns taken in turn. Yardsticks: json.loads of the
same bytes, and pyrofile-validator with the same packages if a Python that has it is named: it is
no dependency of this project. Then the same file in one process and in two: by the clock, which
means something only while nothing else runs, and by the processor time that both took together;
the ratios are the median of pairs run one after the other.

Run: PAYER_EXCHANGE_FHIR_PACKAGES=folder python benchmarks/validation.py [python-with-pyrofile]
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from payer_exchange.reference.validation.delivery import validate_files
from payer_exchange.reference.validation.validator import Validator

FOLDER = Path(os.environ["PAYER_EXCHANGE_FHIR_PACKAGES"])
KINDS = {
    "us_core_patient": ("hl7.fhir.us.core-7.0.0", "Patient"),
    "carin_eob": ("hl7.fhir.us.carin-bb-2.2.0", "ExplanationOfBenefit"),
}
# A process starts for half a second: what is validated lasts many times as long.
SECONDS, TURNS, MEGABYTES, PAIRS = 0.5, 5, 256, 3
# Reads what there is, then a kind a line; validates its examples for some time, writes the rate.
PEER = """
import contextlib, json, os, sys, time
from pyrofile_validator import Validator
from pyrofile_validator.config import ValidatorConfig
told = json.loads(sys.stdin.readline())
validator = Validator(ValidatorConfig.load_dict({"localPackagePaths": told["packages"]}))
for line in sys.stdin:
    bodies, done = [b.encode() for b in told["bodies"][line.strip()]], 0
    with contextlib.redirect_stdout(sys.stderr):
        for body in bodies:
            validator.validate_resource(json.loads(body))
        began = time.process_time()
        while time.process_time() - began < told["seconds"]:
            for body in bodies:
                validator.validate_resource(json.loads(body))
            done += len(bodies)
        took = time.process_time() - began
    print(done / took, flush=True)
"""


def bodies(package: str, kind: str) -> list[bytes]:
    """Examples of a type that claim a profile, each on one line."""
    made = []
    with tarfile.open(FOLDER / f"{package}.tgz") as archive:
        for member in archive:
            if member.name.startswith(f"package/example/{kind}-"):
                opened = archive.extractfile(member)
                found = json.loads(opened.read()) if opened else {}
                if (found.get("meta") or {}).get("profile"):
                    made.append(json.dumps(found).encode())
    return made


def rate(work: Callable[[bytes], object], given: list[bytes]) -> float:
    """Calls a second of this process's own time: others may be busy."""
    for body in given:
        work(body)
    began, done = time.process_time(), 0
    while time.process_time() - began < SECONDS:
        for body in given:
            work(body)
        done += len(given)
    return done / (time.process_time() - began)


def peer(python: str, given: dict[str, list[bytes]]) -> subprocess.Popen[str] | None:
    """The other library in a process of its own; None, and a sentence, where it is not."""
    if not python:
        print("No Python with pyrofile-validator was named: no comparison.", file=sys.stderr)
        return None
    probe = subprocess.run([python, "-c", "import pyrofile_validator"], check=False,
                           capture_output=True)  # fmt: skip
    if probe.returncode:
        print(f"{python} has no pyrofile-validator: no comparison.", file=sys.stderr)
        return None
    names = ("hl7.fhir.r4.core-4.0.1", "hl7.fhir.us.core-7.0.0", "hl7.fhir.us.carin-bb-2.2.0")
    told = {
        "packages": [str(FOLDER / f"{name}.tgz") for name in names],
        "bodies": {kind: [body.decode() for body in some] for kind, some in given.items()},
        "seconds": SECONDS,
    }
    made = subprocess.Popen([python, "-c", PEER], stdin=subprocess.PIPE, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    assert made.stdin
    made.stdin.write(json.dumps(told) + "\n")
    return made


def asked(other: subprocess.Popen[str], kind: str) -> float:
    """The rate of the other library for one turn."""
    assert other.stdin
    assert other.stdout
    other.stdin.write(f"{kind}\n")
    other.stdin.flush()
    return float(other.stdout.readline())


def rates(python: str) -> dict[str, Any]:
    """The rates of each kind, turn by turn."""
    given = {kind: bodies(*where) for kind, where in KINDS.items()}
    validator, other = Validator(), peer(python, given)
    told: dict[str, dict[str, float]] = {}
    for kind, some in given.items():
        ours, floor, theirs = [], [], []
        for _ in range(TURNS):
            ours.append(rate(validator.validate_bytes, some))
            floor.append(rate(json.loads, some))
            theirs += [asked(other, kind)] if other else []
        told[kind] = {"per_s": round(max(ours)), "json_loads_per_s": round(max(floor)),
                      "bytes_each": sum(map(len, some)) // len(some)}  # fmt: skip
        if theirs:
            told[kind] |= {"pyrofile_per_s": round(max(theirs), 1),
                           "ratio": round(max(ours) / max(theirs), 1)}  # fmt: skip
    if other and other.stdin:
        other.stdin.close()
        other.wait()
    return told


def processes(folder: Path) -> dict[str, float]:
    """How fast one file is validated in one process and in two, and the ratio."""
    file = folder / "a.ndjson"
    lines = b"\n".join(bodies(*KINDS["us_core_patient"])) + b"\n"
    file.write_bytes(lines * (MEGABYTES * 1_000_000 // len(lines)))
    turns = [(_run(file, 1), _run(file, 2)) for _ in range(PAIRS)]
    one, two = (max(turn) for turn in zip(*turns, strict=True))
    return {"one_process_per_s": round(one.clock), "two_processes_per_s": round(two.clock),
            "two_to_one": round(median(b.clock / a.clock for a, b in turns), 2),
            "two_to_one_by_cpu": round(median(2 * b.cpu / a.cpu for a, b in turns), 2)}  # fmt: skip


class Run(NamedTuple):
    """Resources a second by the clock, and a second of processor time."""

    clock: float
    cpu: float


def _run(file: Path, workers: int) -> Run:
    clock, cpu = time.perf_counter(), _cpu()
    judged = validate_files([file], [], workers=workers)
    return Run(judged.resources / (time.perf_counter() - clock), judged.resources / (_cpu() - cpu))


def _cpu() -> float:
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, whose))


def main() -> None:
    """Print the rates and ratios, the load of the machine, and the memory of one process."""
    python = sys.argv[1] if len(sys.argv) > 1 else ""
    told: dict[str, Any] = {"benchmark": "validation", **rates(python)}
    told["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    with tempfile.TemporaryDirectory() as folder:
        told |= processes(Path(folder))
    told["load"] = round(os.getloadavg()[0], 1)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
