"""SMART scopes, v1 and v2: what is granted is never wider than asked for or registered."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.trust.scope_filters import both, passes
from payer_exchange.reference.trust.scopes import allows, filters, grant, parse, readable_types

NARROW = "system/Observation.rs?category=laboratory"
ODD = "system.Group.u?code=http://example.test|match"


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("system/*.rs", "rs"), ("system/Patient.r", "r"), ("system/Patient.cruds", "cruds"),
        ("system/*.read", "rs"), ("system/Patient.write", "cud"), ("user/Patient.*", "cruds"),
        ("patient/Observation.cds", "cds"),
    ],
)  # fmt: skip
def test_a_legal_scope(text, letters):
    found = parse(text)
    assert found.letters == frozenset(letters)
    assert found.text() == text


@pytest.mark.parametrize(
    "text",
    ["", " ", "system/*", "system/*.", "system/.rs", "system/*.sr", "system/*.dus", "system/*.rr",
     "system/*.x", "system/patient.rs", "SYSTEM/*.rs", "system/*.READ", "other/*.rs", "system/*.*x",
     "system/*.rs\n", "system/*.rs?category=x", "system/Patient.read?category=x",
     "system/Patient.rs?", "system/Patient.?x=y", "system/Patient.rs?a b=c", "system/Pat ient.rs",
     "openid", ODD, MEMBER_MATCH, "system/*.readwrite", "system/*.r s"],
)  # fmt: skip
def test_what_is_no_legal_scope(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("asked", "registered", "granted"),
    [
        ("system/*.rs", "system/*.rs", "system/*.rs"),
        ("system/*.read", "system/*.rs", "system/*.read"),
        ("system/*.rs", "system/*.read", "system/*.rs"),
        ("system/Patient.rs", "system/*.rs", "system/Patient.rs"),
        ("system/*.rs", "system/Patient.rs", "system/Patient.rs"),
        ("system/*.rs", "system/Patient.rs system/Goal.r", "system/Patient.rs system/Goal.r"),
        ("system/*.cruds", "system/*.rs", "system/*.rs"),
        ("system/*.*", "system/*.rs", "system/*.rs"),
        ("system/*.*", "system/Goal.cud", "system/Goal.cud"),
        ("system/*.write", "system/*.rs", ""),
        ("system/Goal.rs", "system/Patient.rs", ""),
        ("user/*.rs", "system/*.rs", ""),
        ("system/*.sr", "system/*.rs", ""),
        ("system/*.rs?x=y", "system/*.rs", ""),
        (NARROW, "system/*.rs", NARROW),
        (NARROW, "system/*.read", NARROW),
        (NARROW, NARROW, NARROW),
        ("system/Observation.rs", NARROW, NARROW),
        ("system/*.read", NARROW, NARROW),
        ("system/*.cruds", NARROW, NARROW),
        ("system/Observation.r", NARROW, NARROW.replace(".rs", ".r")),
        (NARROW, "system/Observation.rs?category=vital-signs", ""),
        # What cannot be applied would open more than it says.
        ("system/Observation.rs?no-such-parameter=x", "system/*.rs", ""),
        ("system/Observation.rs?no-such-parameter=x", "system/Observation.rs?no-such-parameter=x",
         ""),
        ("system/Observation.rs?date=never", "system/*.rs", ""),
        (MEMBER_MATCH, "system/*.rs", ""),
        (MEMBER_MATCH, MEMBER_MATCH, MEMBER_MATCH),
        (MEMBER_MATCH + "/", MEMBER_MATCH, ""),
        (ODD, ODD, ODD),
        ("system/*.rs system/*.rs", "system/*.rs", "system/*.rs"),
        (f"system/Goal.rs {MEMBER_MATCH} made-up", f"system/*.rs {MEMBER_MATCH}",
         f"system/Goal.rs {MEMBER_MATCH}"),
    ],
)  # fmt: skip
def test_a_grant_is_what_is_both_asked_for_and_registered(asked, registered, granted):
    assert grant(asked.split(), registered.split()) == granted.split()


LEVELS, TYPES = ("system", "user"), ("*", "Patient", "Goal", "Observation")
LETTERS = ["".join(c) for n in range(1, 6) for c in itertools.combinations("cruds", n)]
SPELLINGS = ("read", "write", "*", *LETTERS)
SCOPES = st.lists(
    st.builds("{}/{}.{}".format, *map(st.sampled_from, (LEVELS, TYPES, SPELLINGS)))
    | st.sampled_from(
        [
            NARROW,
            "system/Goal.s?lifecycle-status=active",
            MEMBER_MATCH,
            ODD,
            "system/*.sr",
            "system/*.",
            "openid",
        ]
    ),
    max_size=4,
)


def narrows(scopes, level, kind, letter):
    return kind in filters([s for s in scopes if s.startswith(f"{level}/")], letter)


@given(SCOPES, SCOPES)
def test_a_grant_is_never_wider_than_either(asked, registered):
    granted = grant(asked, registered)
    for level, kind, letter in itertools.product(LEVELS, ("Patient", "Goal", "Other"), "cruds"):

        def allowed(scopes, at=level, of=kind, what=letter):
            return allows([s for s in scopes if s.startswith(f"{at}/")], of, what)

        if allowed(granted):
            assert allowed(asked)
            assert allowed(registered)
            if not narrows(granted, level, kind, letter):
                assert not narrows(asked, level, kind, letter)
                assert not narrows(registered, level, kind, letter)
    for scope in granted:
        assert parse(scope) or (scope in asked and scope in registered)


@given(SCOPES)
def test_what_is_registered_in_the_same_words_is_granted(scopes):
    assert set(grant(scopes, scopes)) >= {s for s in scopes if parse(s) or s in scopes}


@pytest.mark.parametrize(
    ("scopes", "types"),
    [
        ([], frozenset()), (["system/*.rs"], None), (["system/*.s"], frozenset()),
        (["system/Goal.r", "system/Patient.read", "system/Task.cud"], {"Goal", "Patient"}),
        (["system/Goal.r", "system/*.read"], None), ([MEMBER_MATCH], frozenset()),
    ],
)  # fmt: skip
def test_the_types_that_may_be_read(scopes, types):
    assert readable_types(scopes) == types


LAB = {"resourceType": "Observation", "category": [{"coding": [{"code": "laboratory"}]}]}
VITAL = {"resourceType": "Observation", "category": [{"coding": [{"code": "vital-signs"}]}]}


@pytest.mark.parametrize(
    ("scopes", "letter", "passing"),
    [
        ([NARROW], "r", [LAB]),
        ([NARROW, NARROW.replace("laboratory", "vital-signs")], "s", [LAB, VITAL]),
        ([NARROW, "system/Observation.r"], "r", [LAB, VITAL]),
        ([NARROW, "system/Observation.r"], "s", [LAB]),
        ([NARROW, "system/*.read"], "s", [LAB, VITAL]),
        ([NARROW, "system/Patient.rs"], "r", [LAB]),
        # Registered by hand, past the check at the grant: nothing passes.
        (["system/Observation.rs?no-such-parameter=x"], "r", []),
    ],
)
def test_a_query_narrows_its_type_unless_another_scope_opens_it(scopes, letter, passing):
    found = filters(scopes, letter)
    assert [r for r in (LAB, VITAL) if passes(found, "Observation", r)] == passing
    assert passes(found, "Patient", {"resourceType": "Patient"})


def test_two_filters_let_through_what_both_do():
    labs = filters([NARROW], "r")
    final = filters(["system/Observation.r?status=final"], "r")
    goals = filters(["system/Goal.r?lifecycle-status=active"], "r")
    together = both(both(labs, final), goals)
    assert passes(together, "Observation", {**LAB, "status": "final"})
    assert not passes(together, "Observation", {**LAB, "status": "amended"})
    assert not passes(together, "Observation", {**VITAL, "status": "final"})
    assert not passes(together, "Goal", {"resourceType": "Goal", "lifecycleStatus": "planned"})
