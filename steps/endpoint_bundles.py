"""Steps of the signed Bundle that tells of a mutual-TLS endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from pytest_bdd import then, when

from ..reference.errors import BadRequest
from ..reference.fhir import json
from ..reference.http import Exchange
from .checks import answers
from .checks import endpoint_bundle as check
from .seen import Seen
from .transport_run import sent
from .verdicts import CannotTell, CheckFailed

_NONE = ("No endpoint bundle is named: set [target.tls] endpoint_bundle to the URL where the "
         "target publishes it, or to a file.")  # fmt: skip


@when("the signed endpoint bundle is read")
def bundle_read(seen: Seen) -> None:
    named = seen.run.settings.target.tls.endpoint_bundle
    if not named:
        raise CannotTell(_NONE)
    seen.look_at(_fetched(seen, named) if "://" in named else _from_file(seen, named))


@then("the bundle is a collection with timestamp and signature")
def head(seen: Seen) -> None:
    check.has_head(_bundle(seen))


@then("its signature holds")
def signature(seen: Seen) -> None:
    check.signature_holds(_bundle(seen))


@then("its endpoint is active, of one payload type, and carries certificates in force")
def endpoint(seen: Seen) -> None:
    check.endpoint_is_complete(_bundle(seen), datetime.now(UTC))


@then("its organizations are active and name a page for support")
def organizations(seen: Seen) -> None:
    check.organizations_are_complete(_bundle(seen))


@then("its endpoint names the FHIR base and a server to register or authenticate at")
def servers(seen: Seen) -> None:
    bundle = _bundle(seen)
    check.associated_servers(bundle)
    told = str(check.the_endpoint(bundle).get("address", "")).rstrip("/")
    if told != seen.run.target.fhir_base.rstrip("/"):
        raise CheckFailed("The Endpoint's address is not the FHIR base that is judged.",
                          "the FHIR base", "another address", "Endpoint.address")  # fmt: skip
    answers.has_status(seen.look_at(seen.run.capability()), [200])


def _bundle(seen: Seen) -> Mapping[str, Any]:
    try:
        found = json.read_object(seen.exchanges[0].body)
    except BadRequest as error:
        raise CannotTell("The endpoint bundle is no JSON object.") from error
    return found


def _fetched(seen: Seen, url: str) -> Exchange:
    transport = seen.run.transport
    exchange = sent(transport.without(url), "GET", url, {"Accept": "application/json"})
    if exchange is None or exchange.status != 200:
        raise CannotTell(f"The endpoint bundle cannot be had from {url}.")
    return exchange


def _from_file(seen: Seen, name: str) -> Exchange:
    path = seen.run.settings.path(name)
    try:
        return Exchange("FILE", urljoin("file:", path.name), {}, b"", 0.0, body=path.read_bytes())
    except OSError as error:
        raise CannotTell(f"The endpoint bundle {path.name} cannot be read.") from error
