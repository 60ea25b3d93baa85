"""Steps of a requesting payer: the keys that it publishes."""

from __future__ import annotations

from urllib.parse import urlsplit

from pytest_bdd import then

from ..reference.http import Exchange
from .asking import Exchanged
from .checks import asking_keys
from .verdicts import CannotTell, CheckFailed


def key_set(exchanged: Exchanged) -> Exchange:
    """The answer of where the keys are published."""
    found = exchanged.now.visit.key_set
    if found is None:
        raise CannotTell("No key set could be looked at: give --jwks-url, or name it in jku.")
    exchanged.looked.append(found)
    return found


@then("the key set is fetched by https and without authentication")
def published(exchanged: Exchanged) -> None:
    found = key_set(exchanged)
    scheme = urlsplit(found.url).scheme
    if scheme != "https" or found.status != 200:
        raise CheckFailed(found.note or "The key set is not published as it has to be.",
                          "https, and 200", f"{scheme}, and {found.status}",
                          "JWKS URL")  # fmt: skip
    asking_keys.keys_of(found.body)


@then("the key set says for how long it may be kept")
def cached(exchanged: Exchanged) -> None:
    if not key_set(exchanged).header("Cache-Control"):
        raise CheckFailed("The key set does not say for how long it may be kept.", "Cache-Control",
                          "absent", "Cache-Control")  # fmt: skip


@then("every published key is whole, named, and public alone")
def whole(exchanged: Exchanged) -> None:
    asking_keys.are_whole(asking_keys.keys_of(key_set(exchanged).body))
