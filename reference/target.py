"""Calls to a responding payer, one method a step of the exchange; no decisions, no storage.

The requesting payer, the judge and the load users all speak through it, so that what is judged is
what a real client would have met.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from .answered import issue_codes, retry_after
from .clock import Clock, SystemClock
from .credentials import Credentials
from .egress import normal_origin, origins_of
from .errors import AddressRefused, ExportFailed, OutcomeReturned, TargetError, TokenRefused
from .fhir import json, media
from .fhir.ndjson import lines_of
from .http import Exchange, HttpClient
from .secret import Secret
from .trust.signing import ASSERTION_TYPE, client_assertion
from .trust.udap.client import UdapClient

# A wait that a server asks for is obeyed up to this; longer ones are cut to it.
MAX_WAIT_S = 300.0
# Small exports are done by then, so that most clients poll once.
_FIRST_WAIT_S = 0.1
_RENEW_BEFORE_S = 60.0
# Transient refusals: asked to wait, or out of service for a while (RFC 6585, 4; RFC 9110, 15.6.4).
_BUSY = (429, 503)
BUSY_TRIES = 20
_LONGEST_CODE = 40


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token with what the server said of it."""

    value: Secret
    scope: str
    expires_at: float
    answer: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """A finished export: the manifest, and how the waiting went."""

    manifest: Mapping[str, Any]
    status_url: str
    polls: int
    seconds: float


class Target:
    """One responding payer as its client sees it."""

    def __init__(
        self,
        fhir_base: str,
        http: HttpClient,
        credentials: Credentials,
        *,
        token_url: str = "",
        own_origins: Iterable[str] = (),
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        scopes: Iterable[str] = (),
        remember: Callable[[str], None] | None = None,
    ) -> None:
        """A payer at a FHIR base; its tokens go there and to its `own_origins`, nowhere else.

        A client of UDAP registers for `scopes`, and tells `remember` the id it was given.
        """
        self.fhir_base = fhir_base.rstrip("/")
        self._own = origins_of((self.fhir_base, *own_origins))
        self.http = http
        self.credentials = credentials
        self.clock = clock or SystemClock()
        self._token_url = token_url
        self._sleep = sleep
        self.token_tries = 1
        """How often a token endpoint is asked that is busy, as slowly as it says."""
        self.udap = (
            UdapClient(
                self.fhir_base, http, credentials.udap, self.clock,
                client_id=credentials.client_id, scopes=tuple(scopes), remember=remember,
            )
            if credentials.udap
            else None
        )  # fmt: skip
        self.tokens: dict[tuple[str, str], AccessToken] = {}
        """By scope and member; targets that share them ask for each once."""

    # Discovery and tokens

    def smart_configuration(self) -> Exchange:
        """The answer to SMART discovery, sent without a token."""
        return self.get(f"{self.fhir_base}/.well-known/smart-configuration",
                        accept=media.JSON)  # fmt: skip

    def token_url(self) -> str:
        """The token endpoint, discovered once; raises TargetError when it is not told."""
        if self.udap:
            return self.udap.server().token_url
        if not self._token_url:
            exchange = self.smart_configuration()
            found = self.read_json(exchange).get("token_endpoint") if exchange.status == 200 else ""
            if not isinstance(found, str) or not urlsplit(found).netloc:
                raise TargetError(
                    "The payer's SMART configuration names no token_endpoint.",
                    status=exchange.status,
                )
            self._token_url = found
        return self._token_url

    def request_token(
        self,
        form: Mapping[str, str] | Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """The raw answer of the token endpoint to a form."""
        return self.http.request(
            "POST",
            self.token_url(),
            headers={"Content-Type": media.FORM, "Accept": media.JSON, **(headers or {})},
            body=urlencode(form).encode(),
        )

    def assertion(
        self, *, claims: Mapping[str, Any] | None = None, headers: Mapping[str, Any] | None = None
    ) -> str:
        """A fresh client assertion; claims and headers may be changed, to probe."""
        if self.udap:
            return self.udap.assertion(claims=claims, headers=headers)
        if self.credentials.jwk is None:
            raise TokenRefused("No private key is configured to sign a client assertion with.")
        return client_assertion(
            self.credentials.client_id,
            self.token_url(),
            self.credentials.jwk,
            self.clock.now(),
            claims=claims,
            headers={"jku": self.credentials.jwks_url or None, **(headers or {})},
        )

    def token(self, scope: str, *, member: str = "", binding: str = "none") -> AccessToken:
        """A token for a scope, cached and renewed a minute before it expires.

        With `binding` it is bound to the member: `sub` puts the MemberId into the assertion,
        `patient` sends it beside. Raises TokenRefused when the server refuses.
        """
        key = (scope, member)
        cached = self.tokens.get(key)
        now = self.clock.now().timestamp()
        if cached and cached.expires_at - min(_RENEW_BEFORE_S, 0.2 * _life(cached)) > now:
            return cached
        self.tokens[key] = found = self._new_token(scope, member, binding)
        return found

    def forget_tokens(self) -> None:
        """Throw the cached tokens away, as after a 401."""
        self.tokens.clear()

    def _new_token(self, scope: str, member: str, binding: str) -> AccessToken:
        if self.credentials.token:
            return AccessToken(self.credentials.token, scope, float("inf"))
        exchange = self.when_free(lambda: self._ask_token(scope, member, binding), self.token_tries)
        if self.udap and self.udap.may_renew(exchange):
            # The payer has forgotten the registration, or cancelled it: made anew, once.
            exchange = self._ask_token(scope, member, binding)
        answer = self.read_json(exchange) if exchange.status == 200 else {}
        if not isinstance(answer.get("access_token"), str):
            raise TokenRefused(
                f"The token endpoint answered {exchange.status}{_oauth_error(exchange)} and gave "
                f"no token for {scope}. Check the registration: client id, key and scopes.",
                status=exchange.status,
            )
        life = answer.get("expires_in")
        life = float(life) if isinstance(life, int | float) else 300.0
        return AccessToken(
            Secret(answer["access_token"]),
            str(answer.get("scope", scope)),
            self.clock.now().timestamp() + life,
            {**answer, "_life": life},
        )

    def _ask_token(self, scope: str, member: str, binding: str) -> Exchange:
        form = {"grant_type": "client_credentials", "scope": scope}
        headers = {}
        if self.udap:
            form = self.udap.form(scope)
        elif self.credentials.secret:
            headers["Authorization"] = self._basic()
        elif self.credentials.by_certificate:
            form["client_id"] = self.credentials.client_id  # RFC 8705, 2: it still names itself
        else:
            claims = {"sub": member} if member and binding == "sub" else None
            form["client_assertion_type"] = ASSERTION_TYPE
            form["client_assertion"] = self.assertion(claims=claims)
        if member and binding == "patient":
            form["patient"] = member
        return self.request_token(form, headers)

    def _basic(self) -> str:
        secret = self.credentials.secret.reveal()
        pair = f"{quote(self.credentials.client_id, '')}:{quote(secret, '')}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    # FHIR

    def get(
        self,
        url: str,
        token: AccessToken | None = None,
        *,
        accept: str = media.FHIR_JSON,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """The answer to a GET; a relative URL starts at the FHIR base."""
        where = self.absolute(url)
        sent = {"Accept": accept, **self._bearer(token, where), **(headers or {})}
        return self.http.request("GET", where, headers=sent)

    def post(
        self,
        url: str,
        resource: Mapping[str, Any] | bytes,
        token: AccessToken | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """The answer to a POST of FHIR JSON."""
        body = resource if isinstance(resource, bytes) else json.write(resource)
        where = self.absolute(url)
        return self.http.request(
            "POST",
            where,
            headers={
                "Accept": media.FHIR_JSON,
                "Content-Type": media.FHIR_JSON,
                **self._bearer(token, where),
                **(headers or {}),
            },
            body=body,
        )

    def delete(self, url: str, token: AccessToken | None = None) -> Exchange:
        """The answer to a DELETE."""
        where = self.absolute(url)
        return self.http.request("DELETE", where, headers=self._bearer(token, where))

    def absolute(self, url: str) -> str:
        """The URL, from the FHIR base when it is relative."""
        return (
            url
            if url.startswith(("http://", "https://"))
            else f"{self.fhir_base}/{url.lstrip('/')}"
        )

    # Export

    def kick_off(
        self,
        url: str,
        token: AccessToken,
        parameters: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """The raw answer to an asynchronous kick-off: POST with a Parameters body, else GET."""
        wanted = {"Prefer": "respond-async", **(headers or {})}
        if parameters is None:
            return self.get(url, token, headers=wanted)
        return self.post(url, parameters, token, headers=wanted)

    def wait(self, seconds: float) -> None:
        """Let time pass, at most as much as is ever waited between two calls."""
        self._sleep(min(MAX_WAIT_S, seconds))

    def when_free(self, ask: Callable[[], Exchange], tries: int = BUSY_TRIES) -> Exchange:
        """The answer once the payer is no longer busy, asked again as slowly as it says.

        Without a Retry-After each wait is twice the last one. After so many tries it is the busy
        answer itself.
        """
        wait = 1.0
        for _ in range(tries - 1):
            exchange = ask()
            if exchange.status not in _BUSY:
                return exchange
            told = retry_after(exchange, self.clock.now())
            self.wait(wait if told is None else told)
            wait *= 2
        return ask()

    def await_export(
        self,
        status_url: str,
        token: Callable[[], AccessToken],
        *,
        limit_s: float = 3600.0,
        on_poll: Callable[[Exchange], None] | None = None,
    ) -> ExportResult:
        """Poll until the manifest is there, as slowly as the payer asks and backing off.

        Transient refusals (429, 503) are waited out; a token refused once is renewed once. Raises
        ExportFailed when the job fails or is not done in time.
        """
        started, polls, wait = time.monotonic(), 0, _FIRST_WAIT_S
        self._sleep(wait)
        renewed = False
        while time.monotonic() - started < limit_s:
            exchange = self.get(status_url, token(), accept=media.JSON)
            polls += 1
            if on_poll:
                on_poll(exchange)
            if exchange.status == 200:
                manifest = self.read_json(exchange)
                return ExportResult(manifest, status_url, polls, time.monotonic() - started)
            if exchange.status == 401 and not renewed:
                renewed = True
                self.forget_tokens()
                continue
            if exchange.status not in (202, 429, 503):
                raise ExportFailed(
                    f"The export ended with status {exchange.status}.", status=exchange.status
                )
            renewed = False
            told = retry_after(exchange, self.clock.now())
            self._sleep(min(MAX_WAIT_S, told if told is not None else wait))
            wait = min(wait * 2, MAX_WAIT_S)
        raise ExportFailed(f"The export was not finished within {limit_s:.0f} seconds.")

    def download(
        self, url: str, token: AccessToken | None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[Exchange, Iterator[bytes]]:
        """A file's head, and its bytes in chunks; raises ExportFailed unless it is answered 200.

        206 will do where the `headers` ask for a Range. The token travels to the payer's own
        origins only.
        """
        where = self.absolute(url)
        asked = {"Accept": media.FHIR_NDJSON, **(headers or {}), **self._bearer(token, where)}
        exchange, chunks = self.http.stream(where, headers=asked)
        if exchange.status not in ({200, 206} if "Range" in asked else {200}):
            for _ in chunks:  # read out, so that the connection can be used again
                continue
            raise ExportFailed(
                f"A file of the export answered {exchange.status}.", status=exchange.status
            )
        return exchange, chunks

    def lines(self, url: str, token: AccessToken | None) -> Iterator[bytes]:
        """The NDJSON lines of a file."""
        return lines_of(self.download(url, token)[1])

    def is_own_origin(self, url: str) -> bool:
        """Whether a URL lies where the payer's API answers, so that a token may go there."""
        return normal_origin(url) in self._own

    def _bearer(self, token: AccessToken | None, url: str) -> dict[str, str]:
        """The header with the token; raises AddressRefused where it must not go."""
        if token is None:
            return {}
        if not self.is_own_origin(url):
            raise AddressRefused(
                f"The payer hands out an address at {normal_origin(url)}, where its token may not "
                "go. Name it in api_origins if its API answers there."
            )
        return {"Authorization": f"Bearer {token.value.reveal()}"}

    @staticmethod
    def read_json(exchange: Exchange) -> dict[str, Any]:
        """The answer's JSON object; raises TargetError when it is none."""
        return exchange.json_object()

    def expect(self, exchange: Exchange, *statuses: int) -> Exchange:
        """The exchange; raises OutcomeReturned with the issue codes when its status is another."""
        if exchange.status in statuses:
            return exchange
        codes = ", ".join(issue_codes(exchange)) or "no OperationOutcome"
        raise OutcomeReturned(
            f"The payer answered {exchange.status} ({codes}).",
            status=exchange.status,
            elapsed_s=exchange.elapsed_s,
        )


def identifier_query(identifier: Mapping[str, Any]) -> str:
    """The search for the Patient whom an Identifier stands for (pdex-200)."""
    token = f"{identifier.get('system', '')}|{identifier.get('value', '')}"
    return f"Patient?{urlencode({'identifier': token})}"


def _life(token: AccessToken) -> float:
    return float(token.answer.get("_life", 300.0))


def _oauth_error(exchange: Exchange) -> str:
    """The code of an OAuth error answer (RFC 6749, 5.2) in brackets; what else it says may tell."""
    try:
        code = exchange.json_object().get("error")
    except TargetError:
        return ""
    known = isinstance(code, str) and code.isascii() and code.replace("_", "").isalpha()
    return f" ({code})" if known and len(str(code)) <= _LONGEST_CODE else ""
