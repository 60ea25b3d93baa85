"""Both payers on a real PostgreSQL: a record moves as it does on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from payer_exchange.simulators.assembly import RunningResponder, start_responder
from payer_exchange.simulators.requesting_assembly import (
    RequesterOptions,
    RunningRequester,
    joiners,
    keep_joiners,
    registration_of,
    start_requester,
)
from payer_exchange.simulators.responder_options import ResponderOptions


@pytest.fixture(scope="module")
def databases(new_database: Callable[[str], str]) -> tuple[str, str]:
    """The URLs of two empty databases."""
    return new_database("old_plan"), new_database("new_plan")


@pytest.fixture(scope="module")
def payers(
    databases: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningResponder, RunningRequester]]:
    folder: Path = tmp_path_factory.mktemp("payers")
    responder = start_responder(
        ResponderOptions(members=1, database=databases[0], data_dir=folder / "old")
    )
    try:
        requester = start_requester(
            RequesterOptions(database=databases[1], data_dir=folder / "new")
        )
        yield responder, requester
        requester.close()
    finally:
        responder.close()


def test_a_record_moves_between_two_databases(
    payers: tuple[RunningResponder, RunningRequester],
) -> None:
    responder, requester = payers
    truth = responder.truth()
    first = next(joiners(truth, requester.payer.clock.now().date()))
    requester.payer.register(registration_of(responder))
    keep_joiners(requester.payer, [first])
    _, task_id = requester.payer.opt_in(first.event)
    task = requester.payer.wait(task_id, 60)
    assert task.status == "completed", task.notes

    record = next(m for m in truth["members"] if m["key"] == first.key)["record"]
    expected = {
        kind: sum(1 for key, facts in record["resources"].items()
                  if key.startswith(f"{kind}/") and facts["expect"] != "withheld")
        for kind in ("Observation", "Condition", "ExplanationOfBenefit", "Encounter")
    }  # fmt: skip
    [stored] = [r for r in requester.payer.trace(task_id) if r["phase"] == "storage"]
    assert {kind: stored["details"]["counts"][kind] for kind in expected} == expected
    assert requester.payer.archived_digest(task_id)


def test_the_same_exchange_again_changes_nothing(
    payers: tuple[RunningResponder, RunningRequester],
) -> None:
    responder, requester = payers
    first = next(joiners(responder.truth(), requester.payer.clock.now().date()))
    before = requester.payer.repository.counts()
    _, task_id = requester.payer.opt_in(first.event)
    assert requester.payer.wait(task_id, 60).status == "completed"
    after = requester.payer.repository.counts()
    for kind in ("Patient", "Observation", "ExplanationOfBenefit", "Condition"):
        assert after[kind] == before[kind]
