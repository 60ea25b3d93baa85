"""The registry gives the same answers on every supported database."""

from __future__ import annotations

import threading

import pytest
from payer_exchange.reference.matching import (
    Decision,
    MemberRegistry,
    Outcome,
    RegistryError,
    decide,
    load_strategy,
)
from payer_exchange.reference.store.database import open_database


def keys(members):
    return sorted(member.key for member in members)


@pytest.fixture
def filled(any_registry, fhir):
    """Ana and Eva insured together, Eva with a second card; Bo alone."""
    any_registry.enrol_many(
        [
            (
                "ana",
                fhir.patient("Ana María", "Rivera", "1984-02-11", multipleBirthInteger=1),
                [fhir.coverage("A-1", "A", group="g 1", plan="p", period={"start": "2020-01-01"})],
            ),
            (
                "eva",
                fhir.patient("Eva", "Rivera", "1984-02-11"),
                [fhir.coverage("A-2", "A"), fhir.coverage("D-9", "D")],
            ),
            ("bo", fhir.patient("Bo", "Lund", "1990-01-01", "male"), [fhir.coverage("B-1", "B")]),
        ]
    )
    return any_registry


def test_members_are_found_by_each_number(filled, fhir):
    assert keys(filled.by_member_id(fhir.member_system, "a 1")) == ["ana"]
    assert keys(filled.by_member_id(None, "D9")) == ["eva"]
    assert keys(filled.by_member_id("https://elsewhere.test", "A-1")) == []
    assert keys(filled.by_member_id(None, "")) == []
    assert keys(filled.by_subscriber_id(None, "a")) == ["ana", "eva"]
    assert keys(filled.by_subscriber_id("OLD01", "A")) == ["ana", "eva"]
    assert keys(filled.by_subscriber_id("ELSE", "A")) == []


def test_a_household_holds_the_member_and_is_empty_for_nobody(filled):
    assert keys(filled.household("ana")) == ["ana", "eva"]
    assert keys(filled.household("bo")) == ["bo"]
    assert keys(filled.household("nobody")) == []


def test_blocks_are_by_birth_date_and_family(filled):
    assert keys(filled.block(birth_date="1984-02-11")) == ["ana", "eva"]
    assert keys(filled.block(birth_date="1984-02-11", family="RIVERA")) == ["ana", "eva"]
    assert keys(filled.block(birth_date="1984-02-11", family="Lund")) == []
    assert keys(filled.block(family="Lund")) == []


def test_what_was_enrolled_is_what_is_told(filled, fhir):
    [ana] = filled.by_member_id(None, "A1")
    assert ana.person.names[0].given == ("ana", "maria")
    assert (ana.person.birth_date, ana.person.gender) == ("1984-02-11", "female")
    assert ana.person.multiple_birth
    assert ana.member_ids == ((fhir.member_system, "A1"),)
    [card] = ana.coverages
    assert (card.subscriber_id, card.groups, card.plans) == ("A", ("G1",), ("P",))
    assert (card.start, card.end) == ("2020-01-01", "")
    assert card.payors == ((fhir.payer["system"], "OLD01"),)


def test_enrolling_again_replaces_and_withdrawing_forgets(filled, fhir):
    filled.enrol("ana", fhir.patient("Anna", "Rivera", "1984-02-11"), [fhir.coverage("A-7", "E")])
    assert filled.count() == 3
    assert keys(filled.by_member_id(None, "A1")) == []
    assert keys(filled.by_member_id(None, "A7")) == ["ana"]
    assert keys(filled.household("eva")) == ["eva"]
    filled.withdraw("ana")
    filled.withdraw("ana")
    assert filled.count() == 2
    assert keys(filled.by_member_id(None, "A7")) == []


def test_bearers_of_given_names_are_counted_as_members_come_and_go(filled, fhir):
    assert [filled.bearers(name) for name in ("ana", "maria", "eva", "nobody")] == [1, 1, 1, 0]
    filled.enrol("bo", fhir.patient("Eva Eva", "Lund", "1990-01-01"), [])
    assert [filled.bearers(name) for name in ("eva", "bo")] == [2, 0]
    filled.withdraw("bo")
    assert filled.bearers("eva") == 1


def test_the_last_of_a_key_counts_within_one_call(any_registry, fhir):
    who = fhir.patient("Ana", "Rivera", "1984-02-11")
    any_registry.enrol_many(
        [("ana", who, [fhir.coverage("A1")]), ("ana", who, [fhir.coverage("A2")])]
    )
    assert any_registry.count() == 1
    assert keys(any_registry.by_member_id(None, "A2")) == ["ana"]
    assert any_registry.bearers("ana") == 1


def test_the_default_strategy_decides_alike_on_each_database(filled, fhir):
    strict = load_strategy("strict")
    bo = fhir.patient("Bo", "Lund", "1990-01-01", "male")
    assert decide(fhir.request(bo, fhir.coverage("B1")), filled, strict).member_key == "bo"
    near = fhir.patient("Boo", "Lund", "1990-01-01", "male")
    assert decide(fhir.request(near, fhir.coverage("B1")), filled, strict).outcome is Outcome.NONE
    eva = fhir.patient("Eva", "Rivera", "1984-02-11")
    household = fhir.coverage(subscriber_id="A")
    assert decide(fhir.request(eva, household), filled, strict).member_key == "eva"


def test_threads_share_a_registry_while_members_are_enrolled(filled, fhir):
    strict = load_strategy("strict")
    bo = fhir.request(fhir.patient("Bo", "Lund", "1990-01-01", "male"), fhir.coverage("B1"))
    wrong: list[Decision] = []

    def ask():
        decisions = (decide(bo, filled, strict) for _ in range(50))
        wrong.extend(d for d in decisions if d.member_key != "bo")

    def enrol(first):
        for number in range(first, first + 10):
            who = fhir.patient("Nia", "New", "2001-01-01")
            filled.enrol(f"n{number}", who, [fhir.coverage(f"N{number}", "N")])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    threads += [threading.Thread(target=enrol, args=(first,)) for first in (0, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert filled.count() == 23
    assert filled.bearers("nia") == 20


def test_a_database_that_went_away_is_a_registry_error(tmp_path, fhir):
    path = tmp_path / "registry.sqlite"
    engine = open_database(f"sqlite:///{path}")
    registry = MemberRegistry(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE matching_member")
    with pytest.raises(RegistryError):
        registry.by_member_id(None, "A1")
    with pytest.raises(RegistryError):
        registry.enrol("a", fhir.patient("A", "B", "1990-01-01"), [])
    registry.close()
    engine.dispose()


def test_a_database_in_memory_serves_its_own_thread(fhir):
    engine = open_database("sqlite:///:memory:")
    registry = MemberRegistry(engine)
    registry.enrol("a", fhir.patient("Ana", "B", "1990-01-01"), [fhir.coverage("A1")])
    assert keys(registry.by_member_id(None, "A1")) == ["a"]
    registry.close()
    engine.dispose()
