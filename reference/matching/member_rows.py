"""The registry's tables, and a member as one compact row of them."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, Table, Text

from .person import Card, Identifier, Member, Name, Person

tables = MetaData()

# No rowid: the row lies in the key's own tree, so a look-up is one descent and not two.
members = Table(
    "matching_member",
    tables,
    Column("member_key", Text, primary_key=True),
    Column("birth_date", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("profile", LargeBinary, nullable=False),
    Index("matching_member_block", "birth_date", "family"),
    sqlite_with_rowid=False,
)
member_ids = Table(
    "matching_member_id",
    tables,
    Column("value", Text, primary_key=True),
    Column("member_key", Text, primary_key=True),
    sqlite_with_rowid=False,
)
subscriber_ids = Table(
    "matching_subscriber_id",
    tables,
    Column("value", Text, primary_key=True),
    Column("member_key", Text, primary_key=True),
    sqlite_with_rowid=False,
)
given_names = Table(
    "matching_given_name",
    tables,
    Column("given", Text, primary_key=True),
    Column("bearers", Integer, nullable=False),
    sqlite_with_rowid=False,
)


def given_of(member: Member) -> set[str]:
    """Return the given names the member bears, each once; initials are nobody's name."""
    return {word for name in member.person.names for word in name.given if len(word) > 1}


def family_of(member: Member) -> str:
    """Return the family name borne today, joined."""
    names = member.person.names
    return "".join(names[0].family) if names else ""


def encode(member: Member) -> bytes:
    """Return the member without the key, as `decode` reads it."""
    person = member.person
    names = [(name.given, name.family, name.generation, name.previous) for name in person.names]
    cards = [_card_row(card) for card in member.coverages]
    return orjson.dumps(
        (names, person.birth_date, person.gender, person.multiple_birth, person.member_ids, cards)
    )


def _card_row(card: Card) -> tuple[Any, ...]:
    return (
        card.member_ids,
        card.subscriber_id,
        card.dependent,
        card.payors,
        card.plans,
        card.groups,
        card.start,
        card.end,
    )


def decode(key: str, profile: bytes) -> Member:
    """Return the member whose row this is."""
    names, birth_date, gender, multiple_birth, ids, cards = orjson.loads(profile)
    person = Person(
        tuple([Name(tuple(given), tuple(family), *rest) for given, family, *rest in names]),
        birth_date,
        gender,
        multiple_birth,
        _pairs(ids),
    )
    return Member(key, person, tuple([_card(row) for row in cards]))


def _card(row: list[Any]) -> Card:
    ids, subscriber_id, dependent, payors, plans, groups, start, end = row
    return Card(
        _pairs(ids),
        subscriber_id,
        dependent,
        _pairs(payors),
        tuple(plans),
        tuple(groups),
        start,
        end,
    )


def _pairs(rows: list[list[str]]) -> tuple[Identifier, ...]:
    return tuple(map(tuple, rows))  # type: ignore[arg-type]
