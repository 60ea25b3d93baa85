"""Steps of published keys: the target fetches the set of a client, keeps it, and lets go of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pytest_bdd import given, parsers, then, when

from ..reference.fhir.media import media_type
from .key_set import NOT_TO_BE_KEPT, KeySetRun
from .seen import Seen
from .verdicts import CheckFailed

_FEW = 3


@pytest.fixture
def withdrawn() -> dict[str, Any]:
    """The key that was taken out of the set in this scenario."""
    return {}


@given("a key set that may not be kept")
def not_to_be_kept(seen: Seen) -> None:
    _keys(seen).publish(NOT_TO_BE_KEPT)


@given("a key set that holds what nobody knows")
def with_unknown(seen: Seen) -> None:
    _keys(seen).publish(NOT_TO_BE_KEPT, with_unknown=True)


@given("a key set that may be kept for a minute")
def for_a_minute(seen: Seen) -> None:
    _keys(seen).publish("max-age=60")


@when("a token is asked for with the key of the set")
def with_the_key(seen: Seen) -> None:
    _ask(seen, _keys(seen).key)


@when("a token is asked for with the URL of the set as jku")
def with_jku(seen: Seen) -> None:
    _ask(seen, _keys(seen).key, {"jku": _keys(seen).url})


@when("the key is replaced by another")
def replaced(seen: Seen, withdrawn: dict[str, Any]) -> None:
    withdrawn.update(_keys(seen).key)
    _keys(seen).publish(NOT_TO_BE_KEPT)


@when("a token is asked for with the replaced key")
def with_the_replaced(seen: Seen, withdrawn: dict[str, Any]) -> None:
    _ask(seen, withdrawn)


@when(parsers.parse("{count:d} tokens are asked for with the key of the set"))
def many(seen: Seen, count: int) -> None:
    keys = _keys(seen)
    keys.host.fetches.clear()
    for _ in range(count):
        _ask(seen, keys.key)


@then("the key set was asked for by GET, as JSON")
def by_get(seen: Seen) -> None:
    for fetch in seen.look_at_all(_keys(seen).host.fetches):
        if fetch.method != "GET":
            raise CheckFailed("The key set was asked for otherwise.", "GET", fetch.method, "method")
        accept = next((v for k, v in fetch.request_headers.items() if k.lower() == "accept"), "")
        kinds = {media_type(part) for part in accept.split(",")}
        if "application/json" not in kinds:
            raise CheckFailed("JSON was not asked for.", "application/json", accept or "absent",
                              "Accept")  # fmt: skip


@then("the key set was not asked for each time")
def not_each_time(seen: Seen) -> None:
    fetches = seen.look_at_all(_keys(seen).host.fetches)
    if len(fetches) > _FEW:
        raise CheckFailed("The key set was asked for again and again.", f"at most {_FEW} requests",
                          f"{len(fetches)} requests", "the key set's URL")  # fmt: skip


def _keys(seen: Seen) -> KeySetRun:
    return seen.run.key_set


def _ask(seen: Seen, key: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> None:
    seen.look_at(_keys(seen).ask_token(key, headers))
