"""One JSON line: members a second that bulk match jobs sort into Groups, beside the single match.

The whole job is measured: reading the MemberBundles, deciding, judging the consents, writing the
Groups and keeping them, in requests of so many members. The yardstick is the single operation's
own decision for the same members in the same run, and the two must agree on every one of them.

Run: python benchmarks/bulk_match.py [members [requests [folder]]]; a folder keeps the registry.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from payer_exchange.reference.asking import coverage_to_link, hrex_consent
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.export.jobs import COMPLETE, Job
from payer_exchange.reference.fhir import json as fhir_json
from payer_exchange.reference.fhir.pdex import BULK_MEMBER_MATCH, MATCH
from payer_exchange.reference.limits import Limits
from payer_exchange.reference.matching import Outcome
from payer_exchange.reference.matching.bench import enrol_population
from payer_exchange.reference.member_match import MemberMatchRequest
from payer_exchange.reference.population import Population
from payer_exchange.reference.population.adversarial import adversarial_requests
from payer_exchange.reference.registration.clients import Client
from payer_exchange.reference.responding import RespondingPayer
from payer_exchange.reference.responding_settings import RespondingSettings
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.store.facts import stored
from payer_exchange.reference.trust.tokens import Grant
from payer_exchange.simulators.clients_assembly import REQUESTING, RESPONDING

SEED, BATCH = 1, 10_000
NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


def bundles(population: Population, count: int) -> Iterator[MemberMatchRequest]:
    """Members as a payer submits them: six in ten enrolled, four to be refused."""
    for number, asked in enumerate(adversarial_requests(population, count, SEED + 1)):
        ident = f"m{number}"
        beneficiary = {"reference": f"Patient/{ident}"}
        yield MemberMatchRequest(
            {**asked.patient, "id": ident},
            {**asked.coverage, "beneficiary": beneficiary, "payor": [RESPONDING.reference()]},
            coverage_to_link(ident, REQUESTING, "NEW"),
            hrex_consent(ident, discloser=RESPONDING, recipient=REQUESTING,
                         start=date(2027, 1, 1), end=date(2027, 4, 1)),
        )  # fmt: skip


def body_of(requests: tuple[MemberMatchRequest, ...]) -> bytes:
    """The Parameters of one bulk match."""
    return fhir_json.write(
        {
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "MemberBundle",
                    "part": [
                        {"name": "MemberPatient", "resource": r.patient},
                        {"name": "CoverageToMatch", "resource": r.coverage_to_match},
                        {"name": "CoverageToLink", "resource": r.coverage_to_link},
                        {"name": "Consent", "resource": r.consent},
                    ],
                }
                for r in requests
            ],
        }
    )


def payer_with(folder: Path, population: Population) -> RespondingPayer:
    """A responding payer with every member enrolled, and their Patients stored."""
    settings = RespondingSettings(
        "http://127.0.0.1/fhir", "http://127.0.0.1/token", RESPONDING, folder,
        # Four in ten of these requests fail, which the guard would halt.
        limits=Limits(tries_an_hour=0, tries_a_day=0, failed_matches_an_hour=0),
    )  # fmt: skip
    payer = RespondingPayer(settings, open_data_dir(folder, "payer"), clock=MovableClock(NOW))
    payer.clients.register(Client("asker", "Asker", REQUESTING, jwks={"keys": [{}]}))
    enrol_population(payer.registry, population)
    if payer.repository.counts().get("Patient", 0) < population.members:
        patients = ({**p.patient(), "id": p.key} for p in population.people())
        payer.repository.put_many(
            stored(patient, fhir_json.write(patient), now=NOW) for patient in patients
        )
    return payer


def finished(payer: RespondingPayer, job: Job) -> Job:
    """The job once it has ended."""
    while True:
        found = payer.jobs.find(job.id, "asker")
        assert found is not None
        if found.result:
            assert found.state == COMPLETE, found.state
            return found
        time.sleep(0.01)


def matched(payer: RespondingPayer, job: Job) -> dict[str, str]:
    """{submitted id: member} of a job's matched Group."""
    found = {}
    for listed in job.result["files"]:
        path = payer.jobs.file(job, listed["name"])
        assert path is not None
        for group in map(fhir_json.read, path.read_bytes().splitlines()):
            if group["code"]["coding"][0]["code"] == MATCH:
                for entry in group.get("member", []):
                    entity = entry["entity"]
                    ident = entity["extension"][0]["valueReference"]["reference"][1:]
                    found[ident] = entity["reference"].rpartition("/")[2]
    return found


def measure(members: int, count: int, folder: Path) -> dict[str, object]:
    """Return the figures; raises AssertionError when single and bulk decide differently."""
    population = Population(seed=SEED, members=members)
    payer = payer_with(folder, population)
    grant = Grant("asker", frozenset({BULK_MEMBER_MATCH}), None, float("inf"))
    requests = tuple(bundles(population, count))
    bodies = [body_of(part) for part in batched_of(requests)]
    started = time.perf_counter()
    jobs = [finished(payer, payer.bulk_match(grant, "http://127.0.0.1/x", b)) for b in bodies]
    bulk_s = time.perf_counter() - started
    told = dict(chain.from_iterable(matched(payer, job).items() for job in jobs))
    started = time.perf_counter()
    single = {
        str(r.patient["id"]): decision.member_key
        for r in requests
        if (decision := payer.match(r, "asker")).outcome is Outcome.MATCH
    }
    single_s = time.perf_counter() - started
    payer.close()
    assert told == single, "single and bulk decide differently"
    return {
        "benchmark": "bulk_match",
        "members": members,
        "requests": count,
        "seconds": round(bulk_s, 2),
        "per_s": round(count / bulk_s, 1),
        "matched": len(told),
        "megabytes_submitted": round(sum(map(len, bodies)) / 1e6, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "yardstick": "the decision of the single match alone",
        "yardstick_per_s": round(count / single_s, 1),
        "ratio": round(single_s / bulk_s, 4),
    }


def batched_of(requests: tuple[MemberMatchRequest, ...]) -> Iterator[tuple[Any, ...]]:
    """The members of each request, in requests of so many."""
    return (requests[i : i + BATCH] for i in range(0, len(requests), BATCH))


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:3]]
    enrolled, asked_for = (*given, *(20_000, 10_000)[len(given) :])
    with TemporaryDirectory() as passing:
        kept = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(passing)
        print(json.dumps(measure(enrolled, asked_for, kept)))
