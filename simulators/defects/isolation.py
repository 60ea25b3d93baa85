"""Defects of isolation: what a payer lets one client have of another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ...reference.registration.clients import Client
from ...reference.trust.tokens import Grant
from ..responding import RespondingSimulator
from .registry import CONSENT, defect


def _owner(simulator: RespondingSimulator) -> str:
    """The first client: the one that has matched somebody."""
    return simulator.payer.clients.all()[0].client_id


@defect("ISO-1", "Clients are not told apart", "pdex-01", "hrex-sec-20", "pdex-161", "scope-17",
        "pdex-185", "pdex-186", "bulk-status-17", "bulk-del-03", "oo-03",
        also=CONSENT)  # fmt: skip
def clients_alike(simulator: RespondingSimulator) -> None:
    strict = simulator.grant

    def grant() -> Grant:
        return replace(strict(), client_id=_owner(simulator))

    simulator.grant = grant  # type: ignore[method-assign]


@defect("ISO-2", "A Group is open to every client", "pdex-161", "hrex-sec-20", "scope-17",
        "oo-03")  # fmt: skip
def groups_open(simulator: RespondingSimulator) -> None:
    groups = simulator.payer.groups
    strict = groups.find
    groups.find = lambda _client, ident: strict(_owner(simulator), ident)  # type: ignore[method-assign]


@defect("ISO-3", "A search finds the Groups of every client", "pdex-161")
def groups_found(simulator: RespondingSimulator) -> None:
    groups = simulator.payer.groups
    strict = groups.of

    def of(_client: str) -> Iterator[Any]:
        for client in simulator.payer.clients.all():
            yield from strict(client.client_id)

    groups.of = of  # type: ignore[method-assign]


@defect("ISO-4", "An export is open to every client", "pdex-185", "pdex-186", "bulk-status-17",
        "bulk-del-03", "oo-03")  # fmt: skip
def jobs_open(simulator: RespondingSimulator) -> None:
    jobs = simulator.payer.jobs
    strict = jobs.find
    jobs.find = lambda job, _client: strict(job, _owner(simulator))  # type: ignore[method-assign]


@defect("ISO-5", "Any client gets a token for any member", "hrex-sec-20", "pdex-223",
        also=("pdex-token-consent-recheck",))  # fmt: skip
def token_for_anybody(simulator: RespondingSimulator) -> None:
    authorization = simulator.payer.authorization

    strict = authorization.bound_member

    def bound(client: Client, subject: str, patient: str) -> str | None:
        return patient or strict(client, subject, patient)

    authorization.bound_member = bound  # type: ignore[method-assign]
