"""Steps of transport: TLS as everybody needs it, and mutual TLS where it is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from pytest_bdd import parsers, then, when

from ..reference.clock import SystemClock
from ..reference.egress import EgressRules
from ..reference.http import Exchange, HttpClient
from ..reference.trust import pki
from ..reference.trust.pki import Issued, TestAuthority
from .delivered import entries_in
from .handshakes import WEAK, agreed
from .seen import Seen
from .transport_run import TransportRun, sent
from .verdicts import CannotTell, CheckFailed

_MODERN = ("1.2", "1.3")
_ENDPOINTS = ("token_endpoint", "introspection_endpoint", "revocation_endpoint",
              "registration_endpoint", "jwks_uri")  # fmt: skip


@then(parsers.re(r"a handshake with TLS (?P<version>1\.[01]) alone is refused"))
def old_version(seen: Seen, version: str) -> None:
    for url in _hosts(seen):
        taken = agreed(url, seen.run.transport.tls.authorities, version=version)
        if taken:
            raise CheckFailed(f"TLS {version} is taken.", "no connection", taken, _host(url))


@then("a handshake with TLS 1.2 or 1.3 succeeds")
def new_version(seen: Seen) -> None:
    for url in _hosts(seen):
        found = [agreed(url, seen.run.transport.tls.authorities, version=v) for v in _MODERN]
        if not any(found):
            raise CheckFailed("Neither TLS 1.2 nor 1.3 is taken.", "one of them", "neither",
                              _host(url))  # fmt: skip


@then("a handshake with weak ciphers alone is refused")
def weak_ciphers(seen: Seen) -> None:
    for url in _hosts(seen):
        taken = agreed(url, seen.run.transport.tls.authorities, ciphers=WEAK)
        if taken:
            raise CheckFailed("A weak cipher is taken.", "no connection", taken, _host(url))


@then("every address the target hands out is https")
def every_address(seen: Seen) -> None:
    _ = seen.run.transport.base
    for where, url in _handed_out(seen):
        if urlsplit(url).scheme == "http":
            raise CheckFailed("An address is not https.", "https", "http", where)


@when("the FHIR base is asked over plain http")
def plain(seen: Seen) -> None:
    parts = urlsplit(seen.run.transport.base)
    port = parts.port or 80
    url = f"http://{parts.hostname}:{port}{parts.path}/metadata"
    http = HttpClient(EgressRules(typed=url), observer=seen.run.recorder,
                      pace=seen.run.pace)  # fmt: skip
    exchange = sent(http, "GET", url)
    seen.look_at(exchange or Exchange("GET", url, {}, b"", 0.0, note="no connection"))


@then("nothing is answered but a refusal or a redirect to https")
def nothing_answered(seen: Seen) -> None:
    exchange = seen.exchange
    led_away = exchange.header("Location").startswith("https://")
    if exchange.status == 0 or exchange.status >= 400 or (300 <= exchange.status < 400
                                                          and led_away):  # fmt: skip
        return
    raise CheckFailed("Plain http is answered.", "no connection, a refusal or a redirect to https",
                      str(exchange.status), "status")  # fmt: skip


# Mutual TLS


@when("discovery is asked without a client certificate")
def discovery_without(seen: Seen) -> None:
    transport = seen.run.transport
    url = f"{transport.base}/.well-known/smart-configuration"
    if transport.tls.certificate and seen.run.smart_configuration().status != 200:
        raise CannotTell("The target has no SMART configuration, with a certificate or without.")
    exchange = sent(transport.without(), "GET", url, {"Accept": "application/json"})
    if exchange is None:
        raise CheckFailed("Discovery wants a client certificate.", "ordinary TLS",
                          "the handshake is refused", "TLS")  # fmt: skip
    seen.look_at(exchange)


@when("a token is asked for with the client's certificate and its id")
def by_certificate(seen: Seen) -> None:
    transport = _mutual(seen)
    exchange = transport.ask_token(transport.own(), transport.by_certificate())
    if seen.run.settings.target.auth.method != "mtls" and (not exchange or exchange.status != 200):
        raise CannotTell("The client may not be registered for mutual TLS: set [target.auth] "
                         'method = "mtls" when it is.')  # fmt: skip
    seen.look_at(exchange or _no_connection(transport))


@when("a token is asked for with the client's id and no certificate")
def without_certificate(seen: Seen) -> None:
    transport = _mutual(seen)
    exchange = transport.ask_token(transport.without(), transport.by_certificate())
    seen.look_at(exchange or _no_connection(transport))


@when("a token is asked for with the client's certificate and no id")
def without_name(seen: Seen) -> None:
    transport = _mutual(seen)
    exchange = transport.ask_token(transport.own(), transport.unnamed())
    seen.look_at(exchange or _no_connection(transport))


@when(parsers.parse('a token is asked for with a certificate that is "{flaw}"'))
def bad_certificate(seen: Seen, flaw: str) -> None:
    transport = _mutual(seen)
    exchange = transport.ask_token(
        transport.showing(_FLAWS[flaw](transport)), transport.by_certificate()
    )
    seen.look_at(exchange or _no_connection(transport))


@then("the connection or the request is refused")
def refused(seen: Seen) -> None:
    status = seen.exchange.status
    if status not in (0, 400, 401):
        raise CheckFailed("It is not refused.", "no connection, 401 or 400", str(status), "status")


@when("a bound token is used over a connection without its certificate")
def bound_without(seen: Seen) -> None:
    _use_bound(seen, lambda transport: transport.without())


@when("a bound token is used over a connection with another certificate")
def bound_with_another(seen: Seen) -> None:
    _use_bound(seen, lambda t: t.showing(t.authority.issue(uris=t.uris)))


def _use_bound(seen: Seen, connect: Callable[[TransportRun], HttpClient]) -> None:
    transport = _mutual(seen)
    transport.require_own()
    token = seen.run.token("data")
    headers = {"Authorization": f"Bearer {token.value.reveal()}", "Accept": "application/fhir+json"}
    url = f"{transport.base}/Patient"
    exchange = sent(connect(transport), "GET", url, headers)
    seen.look_at(exchange or _no_connection(transport))


def _mutual(seen: Seen) -> TransportRun:
    seen.run.transport.require_mutual()
    return seen.run.transport


def _no_connection(transport: TransportRun) -> Exchange:
    return Exchange("POST", transport.base, {}, b"", 0.0, note="no connection")


def _alike(transport: TransportRun, authority: TestAuthority, **options: timedelta) -> Issued:
    return authority.issue(uris=transport.uris, **options)  # type: ignore[arg-type]


_FLAWS: dict[str, Callable[[TransportRun], Issued]] = {
    "self-signed": lambda t: pki.self_signed(SystemClock(), uris=t.uris),
    "of an unknown authority": lambda t: _alike(
        t, TestAuthority.create(SystemClock(), name="unknown")
    ),
    "expired": lambda t: _alike(t, t.authority, starts=timedelta(days=-9), lasts=timedelta(days=1)),
    "not yet valid": lambda t: _alike(t, t.authority, starts=timedelta(days=1)),
    "without its URI": lambda t: t.authority.issue(
        names=[str(urlsplit(uri).hostname) for uri in t.uris if urlsplit(uri).hostname]
        or ["client.example"]
    ),
}


def _hosts(seen: Seen) -> list[str]:
    """The hosts that members' data and tokens go over, each once."""
    found = [seen.run.transport.base, seen.run.target.token_url()]
    return list({urlsplit(url).netloc: url for url in found}.values())


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _handed_out(seen: Seen) -> Iterator[tuple[str, str]]:
    for name in _ENDPOINTS:
        value = seen.run.transport.metadata.get(name)
        if isinstance(value, str):
            yield name, value
    export = seen.run.export("unique") if not seen.run.is_bulk_only else None
    if export is None:
        return
    yield "Content-Location", export.kick_off.header("Content-Location")
    for section in ("output", "error"):
        for index, entry in enumerate(entries_in(export.result.manifest, section)
                                      if export.result else ()):  # fmt: skip
            yield f"{section}[{index}].url", str(entry.get("url", ""))
