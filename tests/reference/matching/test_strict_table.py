"""The table of what agrees, what is tolerated and what never is, row by row.

Expected outcomes are written from the table, not from the code. The registry is one household:
Ana and her brother Luis, the twins Clara and Carla (recorded as such), Mary Ann, and John senior.
"""

from __future__ import annotations

import pytest
from payer_exchange.reference.matching import Outcome, decide, load_strategy

MATCH, NONE, MULTIPLE = Outcome.MATCH, Outcome.NONE, Outcome.MULTIPLE


@pytest.fixture
def household(registry, fhir):
    """Enrolled on subscriber id OP555, member ids OP55501 and on."""

    def enrol(key, who, number, **card):
        card = {"group": "G-7", "plan": "GOLD", **card}
        period = {"start": "2020-01-01", "end": "2026-12-31"}
        registry.enrol(key, who, [fhir.coverage(number, "OP-555", period=period, **card)])

    enrol("ana", fhir.patient("Ana", "Rivera-Stone", "1984-02-11"), "OP-555-01")
    enrol("luis", fhir.patient("Luis", "Rivera", "1986-05-30", "male"), "OP-555-02")
    twin = {"multipleBirthBoolean": True}
    enrol("clara", fhir.patient("Clara", "Rivera", "2015-07-09", **twin), "OP-555-03")
    enrol("carla", fhir.patient("Carla", "Rivera", "2015-07-09", **twin), "OP-555-04")
    names = [
        fhir.human_name("Mary Ann", "O'Brien", use="official"),
        fhir.human_name("Mary Ann", "Delgado", use="maiden"),
    ]
    enrol("mary", fhir.patient("", "", "1960-10-04", name=names), "OP-555-05")
    john = [fhir.human_name("John", "Rivera", suffix=["Sr"])]
    enrol("john", fhir.patient("", "", "1950-03-12", "male", name=john), "OP-555-06")
    # Bearers enough to make these names real, living elsewhere.
    for number in range(3):
        elsewhere = fhir.coverage(f"X{number}", f"XH{number}")
        registry.enrol(f"x{number}", fhir.patient("Xiomara", "Else", "1999-01-01"), [elsewhere])
    return registry


ANA, LUIS, MARY, JOHN = "OP-555-01", "OP-555-02", "OP-555-05", "OP-555-06"

CASES = [
    # birth date: equal | one wrong digit or swapped, under conditions | missing; two errors
    ("birth equal", ("Ana", "Rivera-Stone", "1984-02-11"), ANA, MATCH, "ana"),
    ("birth one wrong digit", ("Ana", "Rivera-Stone", "1984-02-12"), ANA, MATCH, "ana"),
    ("birth day and month swapped", ("Ana", "Rivera-Stone", "1984-11-02"), ANA, MATCH, "ana"),
    ("birth two wrong digits", ("Ana", "Rivera-Stone", "1983-02-12"), ANA, NONE, None),
    ("birth swapped and a wrong digit", ("Ana", "Rivera-Stone", "1985-11-02"), ANA, NONE, None),
    ("birth missing", ("Ana", "Rivera-Stone", None), ANA, NONE, None),
    ("birth a year only", ("Ana", "Rivera-Stone", "1984"), ANA, NONE, None),
    ("birth digit, other sex", ("Ana", "Rivera-Stone", "1984-02-12", "male"), ANA, NONE, None),
    ("birth digit, sex untold", ("Ana", "Rivera-Stone", "1984-02-12", None), ANA, NONE, None),
    ("birth digit, given not exact", ("A", "Rivera-Stone", "1984-02-12"), ANA, NONE, None),
    ("birth digit, family not exact", ("Ana", "Stone", "1984-02-12"), ANA, NONE, None),
    ("birth digit, maiden name", ("Mary Ann", "Delgado", "1960-10-05"), MARY, NONE, None),
    (
        "birth digit, a recorded twin",
        ("Clara", "Rivera", "2015-07-08"),
        "OP-555-03",
        MATCH,
        "clara",
    ),
    # given: equal, a token of several | one edit if one side is no real name | other real name
    ("given a token, first", ("Mary", "O'Brien", "1960-10-04"), MARY, MATCH, "mary"),
    ("given a token, second", ("Ann", "O'Brien", "1960-10-04"), MARY, MATCH, "mary"),
    ("given joined", ("Maryann", "O'Brien", "1960-10-04"), MARY, MATCH, "mary"),
    ("given with an unlike second", ("Mary Beth", "O'Brien", "1960-10-04"), MARY, NONE, None),
    ("given one edit, both names", ("Luiz", "Rivera", "1986-05-30", "male"), LUIS, NONE, None),
    (
        "given one edit, nobody's",
        ("Luiss", "Rivera", "1986-05-30", "male"),
        LUIS,
        MATCH,
        "luis",
    ),
    ("given another real name", ("Louis", "Rivera", "1986-05-30", "male"), LUIS, NONE, None),
    ("given a prefix", ("Johnathan", "Rivera", "1950-03-12", "male"), JOHN, NONE, None),
    ("given a short form", ("Jack", "Rivera", "1950-03-12", "male"), JOHN, NONE, None),
    ("given an initial", ("L", "Rivera", "1986-05-30", "male"), LUIS, MATCH, "luis"),
    ("given an initial with a dot", ("L.", "Rivera", "1986-05-30", "male"), LUIS, MATCH, "luis"),
    ("given another initial", ("M", "Rivera", "1986-05-30", "male"), LUIS, NONE, None),
    ("initial, other sex", ("L", "Rivera", "1986-05-30", "female"), LUIS, NONE, None),
    ("initial, family near", ("L", "Riveraa", "1986-05-30", "male"), LUIS, NONE, None),
    ("initial, birth near", ("L", "Rivera", "1986-05-31", "male"), LUIS, NONE, None),
    ("given missing", ("", "Rivera", "1986-05-30", "male"), LUIS, NONE, None),
    # family: equal, shared part, previous | one edit; changed under conditions
    ("family a part", ("Ana", "Stone", "1984-02-11"), ANA, MATCH, "ana"),
    ("family the other part", ("Ana", "Rivera", "1984-02-11"), ANA, MATCH, "ana"),
    ("family the maiden name", ("Mary Ann", "Delgado", "1960-10-04"), MARY, MATCH, "mary"),
    ("family one edit", ("Luis", "Riveraa", "1986-05-30", "male"), LUIS, MATCH, "luis"),
    ("family changed", ("Luis", "Novak", "1986-05-30", "male"), LUIS, MATCH, "luis"),
    ("family changed, given near", ("Luiss", "Novak", "1986-05-30", "male"), LUIS, NONE, None),
    ("family changed, other sex", ("Luis", "Novak", "1986-05-30", "female"), LUIS, NONE, None),
    ("both names near", ("Luiss", "Riveraa", "1986-05-30", "male"), LUIS, NONE, None),
    # given and family in each other's place
    ("names swapped", ("Rivera", "Luis", "1986-05-30", "male"), LUIS, MATCH, "luis"),
    ("swapped, one not exact", ("Riverra", "Luis", "1986-05-30", "male"), LUIS, NONE, None),
    # sex: no veto of the otherwise exact, never proof
    ("other sex, else exact", ("Luis", "Rivera", "1986-05-30", "female"), LUIS, MATCH, "luis"),
    ("other sex, given near", ("Luiss", "Rivera", "1986-05-30", "female"), LUIS, NONE, None),
    ("sex untold", ("Luis", "Rivera", "1986-05-30", None), LUIS, MATCH, "luis"),
    # multiple birth switches tolerance on given names off
    ("twin, exact", ("Clara", "Rivera", "2015-07-09"), "OP-555-03", MATCH, "clara"),
    ("twin, one edit", ("Claraa", "Rivera", "2015-07-09"), "OP-555-03", NONE, None),
    ("twin, initial", ("C", "Rivera", "2015-07-09"), "OP-555-03", NONE, None),
    ("twin on the other's card", ("Carla", "Rivera", "2015-07-09"), "OP-555-03", NONE, None),
    ("third of the twins", ("Clarice", "Rivera", "2015-07-09"), "OP-555-03", NONE, None),
    # juniors
    ("son on the father's card", ("John", "Rivera", "1980-03-12", "male"), JOHN, NONE, None),
    # cards
    ("a stranger", ("Ivo", "Petrov", "1971-01-01", "male"), LUIS, NONE, None),
    ("the brother's card", ("Ana", "Rivera-Stone", "1984-02-11"), LUIS, NONE, None),
    ("an unknown card", ("Ana", "Rivera-Stone", "1984-02-11"), "OP-999-01", NONE, None),
    ("no edit on ids", ("Ana", "Rivera-Stone", "1984-02-11"), "OP-555-0", NONE, None),
    ("no padding of ids", ("Ana", "Rivera-Stone", "1984-02-11"), "0OP-555-01", NONE, None),
]


@pytest.mark.parametrize(
    ("who", "number", "outcome", "key"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_member_id_table(household, fhir, who, number, outcome, key):
    decision = decide(
        fhir.request(fhir.patient(*who), fhir.coverage(number)), household, load_strategy("strict")
    )
    assert (decision.outcome, decision.member_key) == (outcome, key)


SUBSCRIBER_CASES = [
    ("opens the household", ("Luis", "Rivera", "1986-05-30", "male"), MATCH, "luis"),
    ("a near given name", ("Luiss", "Rivera", "1986-05-30", "male"), MATCH, "luis"),
    ("a near family name", ("Luis", "Riverra", "1986-05-30", "male"), MATCH, "luis"),
    ("no near birth date", ("Luis", "Rivera", "1986-05-31", "male"), NONE, None),
    ("no changed family", ("Luis", "Novak", "1986-05-30", "male"), NONE, None),
    ("a twin by exact name", ("Carla", "Rivera", "2015-07-09"), MATCH, "carla"),
    ("a twin by initial", ("C", "Rivera", "2015-07-09"), NONE, None),
    ("a left-out member", ("Rosa", "Rivera", "2018-01-01"), NONE, None),
]


@pytest.mark.parametrize(
    ("who", "outcome", "key"),
    [c[1:] for c in SUBSCRIBER_CASES],
    ids=[c[0] for c in SUBSCRIBER_CASES],
)
def test_subscriber_id_table(household, fhir, who, outcome, key):
    asked = fhir.request(fhir.patient(*who), fhir.coverage(subscriber_id="OP-555"))
    decision = decide(asked, household, load_strategy("strict"))
    assert (decision.outcome, decision.member_key) == (outcome, key)


LUIS_HIMSELF = ("Luis", "Rivera", "1986-05-30", "male")
OTHER_PAYER = {"system": "https://example.test/payer-id", "value": "ELSE9"}
UNCOMPARABLE = {"system": "https://naic.test", "value": "60054"}
CARDS = [
    ("same payor", {}, MATCH, ""),
    ("payor in another system", {"payor": UNCOMPARABLE}, MATCH, ""),
    ("payor untold", {"payor": None}, MATCH, ""),
    ("other payor", {"payor": OTHER_PAYER}, NONE, "other-payor"),
    ("same group and plan", {"group": "g7", "plan": "gold"}, MATCH, ""),
    ("other group", {"group": "G-8"}, NONE, "coverage-differs"),
    ("other plan", {"plan": "SILVER"}, NONE, "coverage-differs"),
    ("overlapping period", {"period": {"start": "2026"}}, MATCH, ""),
    ("later period", {"period": {"start": "2027-02-01"}}, NONE, "coverage-differs"),
    ("earlier period", {"period": {"end": "2019-12"}}, NONE, "coverage-differs"),
    ("id in another system", {"system": "https://elsewhere.test/id"}, NONE, "id-unknown"),
    ("id without a system", {"system": None}, MATCH, ""),
    ("foreign Coverage.id", {"id": "cov-of-somebody"}, MATCH, ""),
]


@pytest.mark.parametrize(
    ("card", "outcome", "reason"), [c[1:] for c in CARDS], ids=[c[0] for c in CARDS]
)
def test_coverage_table(household, fhir, card, outcome, reason):
    asked = fhir.request(fhir.patient(*LUIS_HIMSELF), fhir.coverage(LUIS, **card))
    decision = decide(asked, household, load_strategy("strict"))
    assert (decision.outcome, decision.reason) == (outcome, reason)
