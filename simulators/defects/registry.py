"""The register of defects, and the few ways a defect changes an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Request, Response

from ...reference.fhir import json
from ..responding import RespondingSimulator

Install = Callable[[RespondingSimulator], None]


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect: what is wrong, which requirements that violates, and how it is put in."""

    id: str
    summary: str
    violates: tuple[str, ...]
    install: Install
    also: tuple[str, ...] = ()
    """Requirements that cannot be met either once this one is broken."""
    version: str = "2.2.0"
    """The version of PDex that the payer with this defect speaks."""
    udap: bool = False
    """Whether the payer offers UDAP besides."""


DEFECTS: dict[str, Defect] = {}


WITHDRAWN = ("pdex-156", "pdex-167", "pdex-revocation-responder")
# What cannot be met either by a payer that does not deliver all of its data: each of these looks
# for resources in a delivery.
DELIVERED = (
    "atr-export-patient-all", "atr-export-patient-ignore", "atr-response-rules", "bulk-group-01",
    "bulk-kickoff-05",
    "bulk-kickoff-16", "bulk-man-08", "bulk-man-09", "bulk-out-14", "bulk-param-02",
    "bulk-param-04", "bulk-param-05", "bulk-param-14", "bulk-param-15", "bulk-param-24",
    "bulk-provenance-default", "pdex-04", "pdex-05", "pdex-127", "pdex-130", "pdex-131", "pdex-132",
    "pdex-133", "pdex-134", "pdex-139", "pdex-158", "pdex-165", "pdex-168", "pdex-169", "pdex-170",
    "pdex-172", "pdex-176", "pdex-179", "pdex-180c", "pdex-210", "pdex-36", "pdex-42", "pdex-75",
    "pdex-76", "pdex-98", "pdex-pa-metaprofile", "pdex-pa-use", "pdex-prov-profile",
    "pdex-prov-sourceformat", "ref-01",
    "pdex-06", "pdex-08", "pdex-15", "pdex-18", "pdex-19", "pdex-20", "pdex-86", "pdex-126",
    "pdex-128", "bulk-out-15", "bulk-out-16", "bulk-param-18", "bulk-status-13",
    "pdex-135", "pdex-239", "pdex-79", "pdex-pa-docs-inline-url", *WITHDRAWN,
)  # fmt: skip


# What stands or falls together, for one scenario shows it.
EVERYTHING = ("ev-02", "pdex-392", "ev-03", "pdex-393")
CONSENT = ("hrex-mm-11", "pdex-203", "pdex-207", "pdex-consent-validity")
BOUND = ("mtls-04", "hrex-sec-16", "hrex-sec-12")
# What cannot be met either where the Groups of a bulk match cannot be read.
BULK_TOLD = (
    "pdex-129", "pdex-148", "pdex-149", "pdex-150", "pdex-151", "pdex-151a", "pdex-152", "pdex-153",
    "pdex-154", "pdex-154a", "pdex-154b", "pdex-155", "pdex-193", "pdex-bucket-exclusive",
    "pdex-consent-not-nomatch", "pdex-matched-always", "pdex-nomatch-conditional",
    "pdex-out-group-ndjson",
)  # fmt: skip
# The same for exports of Groups.
DELIVERED_BULK = ("atr-export-patient-ignore", "bulk-kickoff-05", "bulk-out-14", "pdex-158",
                  "pdex-168", "pdex-210")  # fmt: skip


def defect(
    ident: str,
    summary: str,
    *violates: str,
    also: tuple[str, ...] = (),
    version: str = "2.2.0",
    udap: bool = False,
) -> Callable[[Install], Install]:
    """Register a function as the defect with this id."""

    def register(install: Install) -> Install:
        if ident in DEFECTS:
            raise ValueError(f"two defects {ident}")
        DEFECTS[ident] = Defect(ident, summary, violates, install, also, version, udap)
        return install

    return register


def change_json(
    simulator: RespondingSimulator, endpoint: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    """Change the JSON of every successful answer of an endpoint."""

    def after(_request: Request, response: Response) -> Response:
        if response.status_code == 200:
            content = json.read(response.get_data())
            changed = change(content)
            response.set_data(json.write(content if changed is None else changed))
        return response

    simulator.after.append((endpoint, after))


def change_answer(
    simulator: RespondingSimulator,
    endpoint: str,
    change: Callable[[Request, Response], Response],
) -> None:
    """Change every answer of an endpoint."""
    simulator.after.append((endpoint, change))


def change_lines(
    simulator: RespondingSimulator, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    """Change the lines of every file that is downloaded."""

    def after(_request: Request, response: Response) -> Response:
        if response.status_code == 200:
            response.direct_passthrough = False
            lines = response.get_data().splitlines()
            response.set_data(b"".join(line + b"\n" for line in change(lines)))
        return response

    simulator.after.append(("file", after))


def set_header(simulator: RespondingSimulator, endpoint: str, name: str, value: str | None) -> None:
    """Set a header of an endpoint's successful answers, or take it away."""

    def after(_request: Request, response: Response) -> Response:
        if response.status_code < 400:
            response.headers.pop(name, None)
            if value is not None:
                response.headers[name] = value
        return response

    simulator.after.append((endpoint, after))
